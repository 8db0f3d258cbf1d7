// A recipe: a small file that says how a program becomes a machine (docs/recipes.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debian/base_files.h"
#include "debian/root_builder.h"

namespace tool {

struct RecipeDirectory {
    std::string path;
    uint32_t mode = 0755;
    uint32_t uid = 0;
    uint32_t gid = 0;
};

/// One thing that must hold; either a program to run or a page to fetch.
struct RecipeTest {
    std::string name;
    std::vector<std::string> run;  // instead of the recipe's command
    std::string stdin_text;
    std::optional<std::string> stdout_text;
    int status = 0;
    std::string http;  // path of a page of the first TCP port, fetched while the recipe's command runs
    std::string contains;
};

struct Recipe {
    std::string name;
    std::filesystem::path folder;
    std::string text;  // of recipe.toml

    std::string description;
    std::vector<std::string> command;
    std::string working_directory;
    std::string memory = "128M";
    unsigned cpus = 1;
    std::vector<std::string> ports;
    std::string isolation = "auto";
    std::vector<std::pair<std::string, std::string>> isolation_by_path;
    std::vector<std::string> environment;  // KEY=VALUE
    std::string hostname;  // empty: the kernel's default

    PackageSelection packages;
    std::string files;  // folder beside recipe.toml whose content is laid over the root; empty: none
    std::vector<std::pair<std::string, std::string>> links;  // path, target
    std::vector<RecipeDirectory> directories;
    std::vector<User> users;
    std::vector<RecipeTest> tests;
};

/// Reads a recipe's text. Throws Failure that names the line, or the key that is not known.
Recipe parse_recipe(std::string_view text, const std::string& where);

/// `name` is a folder that holds a recipe.toml (if it has a slash), or the name of one in `recipes`: of its folder,
/// or without "-port" at its end. Throws Failure that lists the recipes there are.
Recipe load_recipe(const std::string& name, const std::filesystem::path& recipes);

/// The names of all recipes, as a person would give them to `isounik run`.
std::vector<std::string> recipe_names(const std::filesystem::path& recipes);

}  // namespace tool
