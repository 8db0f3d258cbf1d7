// When a page fault finds no memory: somebody has to go (proc(5), oom_score_adj).
#pragma once

namespace process {

// After a page fault that found no memory, which is to be tried again: ends the process with the most resident memory,
// weighed by its oom_score_adj, with one line in the log; while it is still dying, nobody else. Others run meanwhile. No
// lock held.
void wait_for_memory();

}  // namespace process
