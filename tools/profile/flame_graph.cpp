#include "profile/flame_graph.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace tool {

namespace {

constexpr double kWidth = 1200;
constexpr double kBarHeight = 16;
constexpr double kTop = 40;
constexpr double kNarrowest = 0.1;  // pixels
constexpr double kLetterWidth = 6.6;

// Enlarges the clicked bar and what stands above it; those below it become as wide as the picture.
constexpr const char* kScript = R"(
<script><![CDATA[
const bars = [...document.querySelectorAll('g.bar')];
const place = bar => ['x', 'w', 'd'].map(name => parseFloat(bar.dataset[name]));
function show(chosen) {
  const [from, width, depth] = place(chosen), scale = 1200 / width;
  for (const bar of bars) {
    const [x, w, d] = place(bar);
    const below = d < depth && x <= from && x + w >= from + width;
    const inside = d >= depth && x >= from - 1e-6 && x + w <= from + width + 1e-6;
    bar.style.display = below || inside ? '' : 'none';
    const left = below ? 0 : (x - from) * scale, wide = below ? 1200 : w * scale;
    const [rect, text] = [bar.querySelector('rect'), bar.querySelector('text')];
    rect.setAttribute('x', left);
    rect.setAttribute('width', wide);
    text.setAttribute('x', left + 3);
    const letters = Math.floor((wide - 6) / 6.6);
    text.textContent = letters < 3 ? '' : bar.dataset.name.slice(0, letters);
  }
}
for (const bar of bars) bar.addEventListener('click', () => show(bar));
]]></script>
)";

[[gnu::format(printf, 2, 3)]] void append(std::string& out, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    out += text;
}

std::string escape(const std::string& text) {
    std::string out;
    for (char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    }
    return out;
}

/// The kernel's functions are blue, those of libraries yellow, of programs red; a name always has the same shade.
std::string colour(const CallTree::Frame& frame) {
    const unsigned shade = static_cast<unsigned>(std::hash<std::string>()(frame.name) % 40);
    const unsigned hue = frame.object == "kernel"                            ? 205
                         : frame.object.find(".so") != std::string::npos ? 48
                         : frame.object == "boot"                            ? 130
                                                                             : 12;
    char text[32];
    std::snprintf(text, sizeof text, "hsl(%u,65%%,%u%%)", hue, 58 + shade / 2);
    return text;
}

size_t depth_of(const CallTree::Frame& frame, double all) {
    size_t depth = 0;
    for (const auto& [name, callee] : frame.callees)
        if (static_cast<double>(callee.total) * kWidth / all >= kNarrowest)
            depth = std::max(depth, depth_of(callee, all));
    return depth + 1;
}

/// What is the same for all bars.
struct Picture {
    double bottom;
    double all;
    const std::string& unit;
};

void draw(std::string& out, const CallTree::Frame& frame, double x, size_t depth, const Picture& picture) {
    const auto& [bottom, all, unit] = picture;
    const double width = static_cast<double>(frame.total) * kWidth / all;
    if (width < kNarrowest) return;
    const double y = bottom - static_cast<double>(depth + 1) * kBarHeight;
    const std::string name = escape(frame.name);
    out += "<g class=\"bar\" data-name=\"" + name + "\"";
    append(out, " data-x=\"%.4f\" data-w=\"%.4f\" data-d=\"%zu\"><title>", x, width, depth);
    out += name + (frame.object.empty() || frame.object == frame.name ? "" : " (" + escape(frame.object) + ")");
    append(out, ": %lu %s, %.2f%%, %lu of them its own</title>", frame.total, unit.c_str(),
           100.0 * static_cast<double>(frame.total) / all, frame.own);
    append(out, "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\" rx=\"1\" fill=\"%s\"/>", x, y, width,
           kBarHeight - 1, colour(frame).c_str());
    append(out, "<text x=\"%.2f\" y=\"%.0f\">", x + 3, y + 12);
    const double letters = (width - 6) / kLetterWidth;
    if (letters >= 3) out += escape(frame.name.substr(0, static_cast<size_t>(letters)));
    out += "</text></g>\n";
    for (const auto& [key, callee] : frame.callees) {
        draw(out, callee, x, depth + 1, picture);
        x += static_cast<double>(callee.total) * kWidth / all;
    }
}

}  // namespace

std::string flame_graph(const CallTree& tree, const std::string& title, const std::string& unit) {
    const double all = static_cast<double>(std::max<uint64_t>(tree.root.total, 1));
    const double height = kTop + static_cast<double>(depth_of(tree.root, all)) * kBarHeight + 10;
    std::string out;
    append(out,
           "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" font-family=\"monospace\" "
           "font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
           kWidth, height);
    out += "<text x=\"6\" y=\"22\" font-size=\"14\">" + escape(title) + "</text>\n";
    draw(out, tree.root, 0, 0, {.bottom = height - 5, .all = all, .unit = unit});
    out += kScript;
    out += "</svg>\n";
    return out;
}

}  // namespace tool
