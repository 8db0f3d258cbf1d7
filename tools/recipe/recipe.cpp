#include "recipe/recipe.h"

#include <toml++/toml.h>

#include <algorithm>
#include <set>

#include "support/failure.h"
#include "support/files.h"
#include "support/strings.h"

namespace tool {

namespace {

constexpr const char* kFileName = "recipe.toml";
constexpr std::string_view kSuffix = "-port";

/// Reads the keys of one table, and complains about a wrong type and about keys that nobody has asked for.
class Table {
  public:
    Table(const toml::table& table, std::string where) : table_(table), where_(std::move(where)) {}

    template <typename T>
    void read(const char* key, T& value) {
        if (const toml::node* node = find(key)) value = convert<T>(*node, key);
    }

    void read(const char* key, std::optional<std::string>& value) {
        if (const toml::node* node = find(key)) value = convert<std::string>(*node, key);
    }

    void read(const char* key, std::vector<std::string>& values) {
        const toml::node* node = find(key);
        if (!node) return;
        const toml::array* array = node->as_array();
        if (!array) wrong_type(*node, key, "a list of texts");
        for (const toml::node& item : *array) values.push_back(convert<std::string>(item, key));
    }

    /// A table of texts, in order of its keys.
    void read(const char* key, std::vector<std::pair<std::string, std::string>>& values) {
        const toml::node* node = find(key);
        if (!node) return;
        const toml::table* table = node->as_table();
        if (!table) wrong_type(*node, key, "a table of texts");
        for (const auto& [name, value] : *table)
            values.emplace_back(std::string(name.str()), convert<std::string>(value, std::string(name.str()).c_str()));
    }

    /// [[key]]: calls `use` for each of the tables.
    template <typename Use>
    void read_each(const char* key, const Use& use) {
        const toml::node* node = find(key);
        if (!node) return;
        const toml::array* array = node->as_array();
        if (!array) wrong_type(*node, key, "a list of tables, [[...]]");
        for (const toml::node& item : *array) {
            if (!item.is_table()) wrong_type(item, key, "a list of tables, [[...]]");
            Table inner(*item.as_table(), where_);
            use(inner);
            inner.finish();
        }
    }

    void finish() const {
        for (const auto& [key, node] : table_) {
            if (used_.contains(std::string(key.str()))) continue;
            std::vector<std::string> known(used_.begin(), used_.end());
            throw Failure(place(node) + ": there is no key '" + std::string(key.str()) + "' here",
                          "known are " + join(known, ", "));
        }
    }

    std::string place(const toml::node& node) const {
        return where_ + ":" + std::to_string(node.source().begin.line);
    }

  private:
    const toml::node* find(const char* key) {
        used_.insert(key);
        return table_.get(key);
    }

    [[noreturn]] void wrong_type(const toml::node& node, const char* key, const char* wanted) const {
        throw Failure(place(node) + ": '" + key + "' must be " + wanted);
    }

    template <typename T>
    T convert(const toml::node& node, const char* key) const {
        if constexpr (std::is_same_v<T, std::string>) {
            if (auto value = node.value_exact<std::string>()) return *value;
            wrong_type(node, key, "a text in quotes");
        } else {
            if (auto value = node.value_exact<int64_t>(); value && *value >= 0 && *value <= UINT32_MAX)
                return static_cast<T>(*value);
            wrong_type(node, key, "a number");
        }
    }

    const toml::table& table_;
    std::string where_;
    std::set<std::string> used_;
};

void read_test(Table& table, Recipe& recipe) {
    RecipeTest test;
    table.read("name", test.name);
    table.read("run", test.run);
    table.read("stdin", test.stdin_text);
    table.read("stdout", test.stdout_text);
    table.read("status", test.status);
    table.read("http", test.http);
    table.read("contains", test.contains);
    recipe.tests.push_back(std::move(test));
}

uint32_t parse_mode(const std::string& text) {
    size_t end = 0;
    unsigned long mode = 0;
    try {
        mode = std::stoul(text, &end, 8);
    } catch (const std::exception&) {
        end = 0;
    }
    if (end == 0 || end != text.size() || mode > 07777)
        throw Failure("'" + text + "' is not a mode", "write it as chmod takes it, for example \"0755\"");
    return static_cast<uint32_t>(mode);
}

void check(const Recipe& recipe, const std::string& where) {
    if (recipe.command.empty())
        throw Failure(where + " has no command", "add for example command = [\"/usr/bin/hello\"]");
    auto is_isolation = [](const std::string& text) {
        return text == "auto" || text == "mpk" || text == "ring3" || text == "none";
    };
    bool good = is_isolation(recipe.isolation);
    for (const auto& [path, isolation] : recipe.isolation_by_path) good = good && is_isolation(isolation);
    if (!good) throw Failure(where + ": isolation must be auto, mpk, ring3 or none");
    for (const RecipeTest& test : recipe.tests)
        if (test.name.empty() || test.run.empty() == test.http.empty())
            throw Failure(where + ": a [[test]] needs a name, and either run or http");
}

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string& where) {
    toml::table root;
    try {
        root = toml::parse(text, where);
    } catch (const toml::parse_error& error) {
        throw Failure(where + ":" + std::to_string(error.source().begin.line) + ": " +
                      std::string(error.description()));
    }
    Recipe recipe;
    recipe.text = text;
    Table table(root, where);
    table.read("description", recipe.description);
    table.read("command", recipe.command);
    table.read("workdir", recipe.working_directory);
    table.read("memory", recipe.memory);
    table.read("cpus", recipe.cpus);
    table.read("ports", recipe.ports);
    table.read("isolation", recipe.isolation);
    table.read("isolation_of", recipe.isolation_by_path);
    table.read("hostname", recipe.hostname);
    table.read("packages", recipe.packages.programs);
    table.read("exclude", recipe.packages.exclude);
    table.read("libraries", recipe.packages.libraries);
    table.read("packages_with_dependencies", recipe.packages.whole);
    table.read("files", recipe.files);
    table.read("links", recipe.links);
    std::vector<std::pair<std::string, std::string>> variables;
    table.read("env", variables);
    for (const auto& [name, value] : variables) recipe.environment.push_back(name + "=" + value);
    table.read_each("directory", [&](Table& inner) {
        RecipeDirectory directory;
        std::string mode = "0755";
        inner.read("path", directory.path);
        inner.read("mode", mode);
        inner.read("uid", directory.uid);
        inner.read("gid", directory.gid);
        directory.mode = parse_mode(mode);
        recipe.directories.push_back(std::move(directory));
    });
    table.read_each("user", [&](Table& inner) {
        User user;
        inner.read("name", user.name);
        inner.read("uid", user.uid);
        user.gid = user.uid;
        inner.read("gid", user.gid);
        inner.read("home", user.home);
        inner.read("shell", user.shell);
        recipe.users.push_back(std::move(user));
    });
    table.read_each("test", [&](Table& inner) { read_test(inner, recipe); });
    table.finish();
    check(recipe, where);
    return recipe;
}

std::vector<std::string> recipe_names(const fs::path& recipes) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(recipes, error)) {
        if (!fs::exists(entry.path() / kFileName)) continue;
        std::string name = entry.path().filename();
        if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
        names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
}

Recipe load_recipe(const std::string& name, const fs::path& recipes) {
    std::vector<fs::path> candidates = {recipes / name, recipes / (name + std::string(kSuffix))};
    if (name.find('/') != std::string::npos || name == ".") candidates = {name};
    for (const fs::path& folder : candidates) {
        if (!fs::exists(folder / kFileName)) continue;
        Recipe recipe = parse_recipe(read_file(folder / kFileName), (folder / kFileName).lexically_normal().string());
        recipe.name = name;
        recipe.folder = folder;
        return recipe;
    }
    if (name.find('/') != std::string::npos)
        throw Failure("there is no recipe.toml in " + name, "give a folder that has one, or the name of a recipe");
    throw Failure("there is no recipe '" + name + "'", "there are: " + join(recipe_names(recipes), ", "));
}

}  // namespace tool
