// disk LOADER KERNEL IMAGE MEMORY_MIB COMMAND_LINE OUTPUT: a disk for a PC that starts the kernel with this boot image
// and command line (docs/boot-protocol.md). Prints the number of its cylinders (16 heads, 63 sectors).
#include <elf.h>
#include <xen/xen.h>

#include <xen/arch-x86/hvm/start_info.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "layout.h"

namespace {

using Bytes = std::vector<char>;
constexpr size_t kSector = 512, kCylinder = 16 * 63 * kSector;

[[noreturn]] void fail(const std::string& why) {
    std::cerr << "disk: " << why << "\n";
    std::exit(1);
}

Bytes read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail("cannot read " + path);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

// The loadable segments, at their physical addresses from KERNEL on.
Bytes flatten(const Bytes& elf) {
    Elf64_Ehdr header;
    if (elf.size() < sizeof header || std::memcmp(elf.data(), ELFMAG, SELFMAG) != 0) fail("the kernel is no ELF file");
    std::memcpy(&header, elf.data(), sizeof header);
    Bytes memory;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        std::memcpy(&segment, elf.data() + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_LOAD) continue;
        const size_t at = segment.p_paddr - KERNEL;
        if (memory.size() < at + segment.p_memsz) memory.resize(at + segment.p_memsz);
        std::memcpy(memory.data() + at, elf.data() + segment.p_offset, segment.p_filesz);
    }
    return memory;
}

Bytes make_start_info(uint64_t memory_bytes, uint64_t image_size, const std::string& command_line) {
    struct {
        hvm_start_info info;
        hvm_modlist_entry image;
        hvm_memmap_table_entry map[4];
    } block{};
    // The last 128 KiB hold the firmware's ACPI tables.
    const uint64_t tables = memory_bytes - 0x20000;
    block.map[0] = {0, 0x9f000, XEN_HVM_MEMMAP_TYPE_RAM, 0};
    block.map[1] = {0xe0000, 0x20000, XEN_HVM_MEMMAP_TYPE_RESERVED, 0};
    block.map[2] = {KERNEL, tables - KERNEL, XEN_HVM_MEMMAP_TYPE_RAM, 0};
    block.map[3] = {tables, 0x20000, XEN_HVM_MEMMAP_TYPE_ACPI, 0};
    block.image = {IMAGE, image_size, 0, 0};
    block.info.magic = XEN_HVM_START_MAGIC_VALUE;
    block.info.version = 1;
    block.info.nr_modules = 1;
    block.info.modlist_paddr = START_INFO + offsetof(decltype(block), image);
    block.info.cmdline_paddr = START_INFO + sizeof block;
    block.info.memmap_paddr = START_INFO + offsetof(decltype(block), map);
    block.info.memmap_entries = std::size(block.map);
    Bytes bytes(sizeof block);
    std::memcpy(bytes.data(), &block, sizeof block);
    bytes.insert(bytes.end(), command_line.c_str(), command_line.c_str() + command_line.size() + 1);
    if (START_INFO + bytes.size() > 0x9f000) fail("the command line is too long");
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) fail("usage: disk LOADER KERNEL IMAGE MEMORY_MIB COMMAND_LINE OUTPUT");
    Bytes disk = read_file(argv[1]);
    if (disk.size() != kSector) fail("the boot sector has not 512 bytes");
    const Bytes image = read_file(argv[3]);
    const uint64_t memory_bytes = std::strtoull(argv[4], nullptr, 10) << 20;
    if (IMAGE + image.size() > memory_bytes) fail("the image does not fit into the machine's memory");
    struct Part {
        uint32_t first_sector, address, sectors;
    };
    size_t at = PARTS;
    auto add = [&](const Bytes& bytes, uint32_t address) {
        const size_t sectors = (bytes.size() + kSector - 1) / kSector;
        const Part part{static_cast<uint32_t>(disk.size() / kSector), address, static_cast<uint32_t>(sectors)};
        std::memcpy(disk.data() + at, &part, sizeof part);
        at += sizeof part;
        disk.insert(disk.end(), bytes.begin(), bytes.end());
        disk.resize((part.first_sector + sectors) * kSector);
    };
    add(make_start_info(memory_bytes, image.size(), argv[5]), START_INFO);
    add(flatten(read_file(argv[2])), KERNEL);
    add(image, IMAGE);
    disk.resize((disk.size() + kCylinder - 1) / kCylinder * kCylinder);
    std::ofstream output(argv[6], std::ios::binary);
    output.write(disk.data(), static_cast<std::streamsize>(disk.size()));
    if (!output.flush()) fail(std::string("cannot write ") + argv[6]);
    std::cout << disk.size() / kCylinder << "\n";
}
