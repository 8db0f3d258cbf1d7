// The tests that recipes bring with them.
#pragma once

#include <functional>

#include "cli/places.h"
#include "recipe/recipe.h"
#include "test_runner/tap.h"

namespace tool {

/// Runs one test of a recipe with the launcher; the comments of the result say what went wrong.
TestResult run_recipe_test(const Recipe& recipe, const RecipeTest& test, const Places& places);

}  // namespace tool
