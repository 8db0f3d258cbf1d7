// When a page fault finds no memory: somebody has to go (proc(5), oom_score_adj).
#pragma once

namespace process {

// Ends the process with the most resident memory, weighed by its oom_score_adj, with one line in the log; while it
// is still dying, nobody else. No lock held.
void kill_largest_process();

}  // namespace process
