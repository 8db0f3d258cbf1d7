// The texts below /proc/<pid>.
#pragma once

#include "fs/proc/node.h"
#include "mm/address_space.h"

namespace fs::proc {

// process_status.cpp
Result<void> stat_text(Text& text, const Subject& subject);
Result<void> status_text(Text& text, const Subject& subject);
Result<void> statm_text(Text& text, const Subject& subject);
Result<void> limits_text(Text& text, const Subject& subject);
// "0-3,5" for bits 0, 1, 2, 3 and 5.
void append_list(Text& text, uint64_t mask);

// process_memory.cpp
Result<void> maps_text(Text& text, const Subject& subject);
Result<void> smaps_text(Text& text, const Subject& subject);
// One line of maps, as Linux prints it.
void append_map_line(Text& text, const mm::MapLine& line);
// /proc/<pid>/mem.
Result<Ref<File>> open_memory(const OpenRequest& request, const Subject& subject);

// mounts.cpp
Result<void> mounts_text(Text& text, const Subject& subject);
Result<void> mountinfo_text(Text& text, const Subject& subject);

// process_directory.cpp: /proc/<pid> of the process `subject.pid`, and of /proc/<pid>/task/<tid>.
Result<Ref<Inode>> make_process_directory(FileSystem& owner, const Subject& subject);

// descriptors.cpp: /proc/<pid>/fd and fdinfo.
Result<Ref<Inode>> make_descriptor_directory(FileSystem& owner, const Subject& subject);
Result<Ref<Inode>> make_descriptor_info_directory(FileSystem& owner, const Subject& subject);

// The decimal number that is all of `name`; -1 otherwise.
int parse_number(std::string_view name);

}  // namespace fs::proc
