#include "cli/places.h"

#include <cstdlib>

namespace tool {

Places Places::find() {
    Places places;
    const char* build = std::getenv("ISOUNIK_BUILD");
    const char* source = std::getenv("ISOUNIK_SOURCE");
    places.build = build ? build : std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    places.source = source ? source : places.build.parent_path();
    return places;
}

}  // namespace tool
