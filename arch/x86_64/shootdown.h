// The target's side of TLB flushes (tlb.h has the initiator's).
#pragma once

namespace arch {

// Does what other processors have asked of this one and acknowledges it. Cheap if there is nothing.
void answer_flush_requests();

}  // namespace arch
