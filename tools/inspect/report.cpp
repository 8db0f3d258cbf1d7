#include "inspect/report.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "elf/closure.h"
#include "elf/elf_file.h"
#include "inspect/disassembly.h"
#include "inspect/file_code.h"
#include "mpk/inspect/inspect.h"
#include "mpk/inspect/safe_form.h"
#include "support/failure.h"

namespace tool {

namespace inspect = mpk::inspect;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string name_of(inspect::SiteKind kind) {
    switch (kind) {
        case inspect::SiteKind::kGeneralProtection: return "SIGSEGV, as in ring 3";
        case inspect::SiteKind::kInvalidOpcode: return "SIGILL, as in ring 3";
        case inspect::SiteKind::kWritePkru: return "wrpkru, emulated";
        case inspect::SiteKind::kPopFlags: return "popf, emulated";
        case inspect::SiteKind::kRelocate: return "relocated";
    }
    return {};
}

std::string done_as(std::string_view instruction) {
    auto form = inspect::safe_form(bytes_of(instruction));
    if (!form) return {};
    if (form->action != inspect::Action::kStep) return "emulated";
    return disassemble({reinterpret_cast<const char*>(form->bytes), form->size}, 0);
}

std::string hex(uint64_t number) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
    return text;
}

}  // namespace

FileReport report_file(const std::string& path, std::string_view content) {
    auto inspection = inspect::inspect(inspect::MemoryReader(bytes_of(content)));
    if (!inspection) throw Failure(path + " could not be inspected: not enough memory");
    const inspect::CodeMap map = inspection->map();
    const Symbols symbols(content);
    const auto elf = parse_elf(content);
    FileReport report = {.path = path,
                         .is_program = elf && elf->is_executable,
                         .isolatable = map.isolatable(),
                         .reason = std::string(map.reason),
                         .executable_bytes = inspection->executable_bytes(),
                         .proven_bytes = inspection->proven_bytes()};
    if (map.verdict == inspect::Verdict::kNoCode) report.reason = "it is no ELF file for x86-64";
    if (uint64_t at = inspection->reason_offset(); at != 0 && at < content.size()) {
        report.reason += ": " + hex_bytes(content.substr(at, inspect::kLongestSequence));
        if (std::string symbol = symbols.name_at(at); !symbol.empty()) report.reason += " in " + symbol;
    }
    report.model = report.isolatable ? "isolated" : "confined";
    for (const inspect::Site& site : map.sites) {
        const std::string_view bytes = content.substr(site.offset(), site.length);
        report.sites.push_back({.offset = site.offset(),
                                .bytes = hex_bytes(bytes),
                                .instruction = disassemble(bytes, symbols.address_of(site.offset())),
                                .symbol = symbols.name_at(site.offset()),
                                .kind = name_of(site.kind),
                                .done_as = site.kind == inspect::SiteKind::kRelocate ? done_as(bytes) : ""});
    }
    for (const inspect::Residual& residual : inspection->residuals())
        report.residuals.push_back({.offset = residual.offset,
                                    .bytes = hex_bytes(content.substr(residual.offset, inspect::kLongestSequence)),
                                    .sequence = inspect::name_of(residual.sequence),
                                    .symbol = symbols.name_at(residual.offset)});
    return report;
}

std::vector<FileReport> report_tree(const Tree& tree) {
    std::vector<FileReport> reports;
    std::map<const Node*, size_t> by_node;
    tree.walk([&](const std::string& path, const std::shared_ptr<Node>& node) {
        if (node->type != NodeType::Regular || node->size() < 4 || by_node.contains(node.get())) return;
        const std::string content = node->content();
        if (!looks_like_elf(content)) return;
        by_node[node.get()] = reports.size();
        reports.push_back(report_file(path, content));
    });
    for (FileReport& report : reports) {
        if (!report.is_program || !report.isolatable) continue;
        for (const std::string& path : library_closure(tree, {report.path}).files) {
            auto known = by_node.find(tree.find(path).get());
            if (known == by_node.end() || reports[known->second].isolatable) continue;
            report.model = "confined";
            report.model_reason = reports[known->second].path;
            break;
        }
    }
    return reports;
}

std::string as_text(const std::vector<FileReport>& reports) {
    std::string text;
    for (const FileReport& report : reports) {
        text += report.path + ": " + report.model;
        if (!report.isolatable) text += " (" + report.reason + ")";
        else if (!report.model_reason.empty()) text += " (it needs " + report.model_reason + ", which is not isolatable)";
        text += "\n  " + std::string(report.is_program ? "program" : "library") + ", " +
                std::to_string(report.executable_bytes) + " bytes executable, " + std::to_string(report.proven_bytes) +
                " proven to be code, " + std::to_string(report.sites.size()) + " instructions replaced, " +
                std::to_string(report.residuals.size()) + " sequences left in what is not proven to be code\n";
        for (const SiteReport& site : report.sites) {
            text += "  " + hex(site.offset) + ": " + site.instruction;
            if (!site.symbol.empty()) text += "  in " + site.symbol;
            text += "  -> " + site.kind + (site.done_as.empty() ? "" : ": " + site.done_as) + "\n";
        }
        for (const ResidualReport& residual : report.residuals) {
            text += "  " + hex(residual.offset) + ": " + residual.bytes + "  (" + residual.sequence + ") is left";
            if (!residual.symbol.empty()) text += ", near " + residual.symbol;
            text += "\n";
        }
    }
    return text;
}

nlohmann::ordered_json as_json(const std::vector<FileReport>& reports) {
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const FileReport& report : reports) {
        nlohmann::ordered_json sites = nlohmann::ordered_json::array(), residuals = nlohmann::ordered_json::array();
        for (const SiteReport& site : report.sites)
            sites.push_back({{"offset", site.offset}, {"bytes", site.bytes}, {"instruction", site.instruction},
                             {"symbol", site.symbol}, {"kind", site.kind}, {"done_as", site.done_as}});
        for (const ResidualReport& residual : report.residuals)
            residuals.push_back({{"offset", residual.offset}, {"bytes", residual.bytes},
                                 {"sequence", residual.sequence}, {"symbol", residual.symbol}});
        files.push_back({{"path", report.path},
                         {"type", report.is_program ? "program" : "library"},
                         {"isolatable", report.isolatable},
                         {"reason", report.reason},
                         {"model", report.model},
                         {"confined_because_of", report.model_reason},
                         {"executable_bytes", report.executable_bytes},
                         {"proven_bytes", report.proven_bytes},
                         {"sites", sites},
                         {"residuals", residuals}});
    }
    return {{"files", files}};
}

}  // namespace tool
