// The root of a recipe.
#pragma once

#include <vector>

#include "debian/package_source.h"
#include "image/tree.h"
#include "recipe/recipe.h"
#include "support/hash.h"

namespace tool {

/// Fills `tree`: packages, then the recipe's files, links and directories, then what every root has.
std::vector<TakenPackage> build_recipe_root(Tree& tree, const Recipe& recipe, PackageSource& source);

/// Adds to `hash` all that the root depends on but the versions of the packages.
void hash_recipe(ContentHash& hash, const Recipe& recipe);

}  // namespace tool
