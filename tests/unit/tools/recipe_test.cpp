#include "recipe/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "debian/base_files.h"
#include "debian/package_source.h"
#include "support/failure.h"
#include "test_files.h"
#include "test_runner/tap.h"

namespace tool {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string failure_of(const std::string& text) {
    try {
        parse_recipe(text, "recipe.toml");
    } catch (const Failure& failure) {
        return std::string(failure.what()) + " | " + failure.hint();
    }
    return "no failure";
}

TEST(Recipe, ReadsEverything) {
    Recipe recipe = parse_recipe(R"(
description = "d"
packages = ["nginx", "nginx-common"]
command = ["/usr/sbin/nginx", "-g", "daemon off;"]
memory = "64M"
cpus = 2
ports = ["8080:80"]
isolation = "ring3"
[env]
LANG = "C.UTF-8"
[isolation_of]
"/usr/bin/jit" = "none"
[links]
"/bin/sh" = "dash"
[[directory]]
path = "/var/log/x"
mode = "0750"
uid = 33
[[user]]
name = "redis"
uid = 101
[[test]]
name = "runs"
run = ["true"]
status = 0
)",
                                 "recipe.toml");
    EXPECT_THAT(recipe.packages.programs, ElementsAre("nginx", "nginx-common"));
    EXPECT_THAT(recipe.command, ElementsAre("/usr/sbin/nginx", "-g", "daemon off;"));
    EXPECT_EQ(recipe.cpus, 2u);
    EXPECT_THAT(recipe.environment, ElementsAre("LANG=C.UTF-8"));
    EXPECT_EQ(recipe.isolation_by_path[0].second, "none");
    EXPECT_EQ(recipe.directories[0].mode, 0750u);
    EXPECT_EQ(recipe.directories[0].uid, 33u);
    EXPECT_EQ(recipe.users[0].gid, 101u) << "the group is the user's own unless said otherwise";
    EXPECT_EQ(recipe.tests[0].name, "runs");
}

TEST(Recipe, SaysWhatIsWrong) {
    EXPECT_THAT(failure_of("command = [\"x\"]\nmemroy = \"64M\""), HasSubstr("recipe.toml:2: there is no key 'memroy'"));
    EXPECT_THAT(failure_of("command = [\"x\"]\ncpus = \"two\""), HasSubstr("'cpus' must be a number"));
    EXPECT_THAT(failure_of("command = \"x\""), HasSubstr("'command' must be a list of texts"));
    EXPECT_THAT(failure_of("description = \"x\""), HasSubstr("no command"));
    EXPECT_THAT(failure_of("command = ["), HasSubstr("recipe.toml:1"));
    EXPECT_THAT(failure_of("command = [\"x\"]\nisolation = \"strong\""), HasSubstr("isolation must be"));
    EXPECT_THAT(failure_of("command = [\"x\"]\n[[directory]]\npath = \"/x\"\nmode = \"rwx\""), HasSubstr("not a mode"));
    EXPECT_THAT(failure_of("command = [\"x\"]\n[[test]]\nname = \"t\""), HasSubstr("either run or http"));
}

TEST(Recipe, IsFoundByNameFolderOrWithoutPort) {
    testing::Scratch scratch;
    write_file(scratch / "apps/nginx-port/recipe.toml", "command = [\"x\"]");
    write_file(scratch / "apps/shell/recipe.toml", "command = [\"y\"]");
    write_file(scratch / "apps/empty/notes", "");
    EXPECT_THAT(recipe_names(scratch / "apps"), ElementsAre("nginx", "shell"));
    EXPECT_EQ(load_recipe("nginx", scratch / "apps").command[0], "x");
    EXPECT_EQ(load_recipe("nginx-port", scratch / "apps").command[0], "x");
    EXPECT_EQ(load_recipe((scratch / "apps/shell").string(), scratch / "nowhere").command[0], "y");
    try {
        load_recipe("postgres", scratch / "apps");
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_THAT(failure.hint(), HasSubstr("nginx, shell"));
    }
}

TEST(Recipe, ThoseOfTheRepositoryAreGood) {
    const fs::path apps = fs::path(__FILE__).parent_path().parent_path().parent_path().parent_path() / "apps";
    for (const std::string& name : recipe_names(apps)) EXPECT_NO_THROW(load_recipe(name, apps)) << name;
}

TEST(BaseFiles, AddsUsersAndKeepsWhatIsThere) {
    Tree tree;
    tree.add("/etc/hosts", Node::file("mine"));
    add_base_files(tree, {{.name = "redis", .uid = 101, .gid = 101}}, "");
    EXPECT_EQ(tree.find("/etc/hosts")->data, "mine");
    EXPECT_THAT(tree.find("/etc/passwd")->data, HasSubstr("www-data:x:33:33:"));
    EXPECT_THAT(tree.find("/etc/passwd")->data, HasSubstr("redis:x:101:101:"));
    EXPECT_THAT(tree.find("/etc/group")->data, HasSubstr("redis:x:101:"));
    EXPECT_EQ(tree.find("/etc/hostname")->data, "isounik\n");
}

TEST(PackageSource, ReadsAptsLines) {
    PackageFile package;
    ASSERT_TRUE(parse_uri_line("'http://host/pool/z/zlib1g_1.2.13.dfsg-1_amd64.deb' "
                               "zlib1g_1%3a1.2.13.dfsg-1_amd64.deb 86684 MD5Sum:ec42",
                               package));
    EXPECT_EQ(package.name, "zlib1g");
    EXPECT_EQ(package.version, "1:1.2.13.dfsg-1");
    EXPECT_EQ(package.size, 86684u);
    EXPECT_FALSE(parse_uri_line("Reading package lists...", package));
    EXPECT_FALSE(parse_uri_line("'http://host/x", package));
    EXPECT_FALSE(parse_uri_line("'http://host/x' odd 1", package));
}

TEST(Tap, CountsAndComplains) {
    TapReader tap;
    EXPECT_TRUE(tap.line("ok 1 - first"));
    EXPECT_TRUE(tap.line("not ok 2 - second\r\n"));
    EXPECT_FALSE(tap.line("# because"));
    EXPECT_FALSE(tap.line("okay, this is noise"));
    EXPECT_TRUE(tap.line("ok"));
    EXPECT_FALSE(tap.line("1..3"));
    tap.finish(1, "driver");
    EXPECT_EQ(tap.passed(), 2u);
    EXPECT_EQ(tap.failed(), 1u);
    EXPECT_EQ(tap.results()[1].name, "second");
    EXPECT_THAT(tap.results()[1].comments, ElementsAre("because"));

    TapReader died;
    died.line("1..5");
    died.line("ok 1 - a");
    died.finish(0, "driver");
    EXPECT_EQ(died.failed(), 1u);
    TapReader silent;
    silent.finish(0, "driver");
    EXPECT_EQ(silent.failed(), 1u);
    TapReader status;
    status.line("ok 1 - a");
    status.finish(3, "driver");
    EXPECT_EQ(status.failed(), 1u);
}

}  // namespace
}  // namespace tool
