// A call tree as an SVG picture.
#pragma once

#include <string>

#include "profile/call_tree.h"

namespace tool {

/// A flame graph: each call is a bar as wide as what it took, above its caller. A browser shows
/// the figures of the bar under the pointer; a click enlarges a bar to the full width, a click on "all" undoes it.
/// Bars too narrow to see are left out.
std::string flame_graph(const CallTree& tree, const std::string& title, const std::string& unit);

}  // namespace tool
