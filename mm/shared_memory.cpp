#include "mm/shared_memory.h"

#include "arch/x86_64/page_ops.h"
#include "mm/frames.h"

namespace mm {
namespace {

class SharedMemory final : public Mappable, PageSource {
  public:
    explicit SharedMemory(uint64_t size) : size_(size), cache_(*this) {}
    PageCache& page_cache() override { return cache_; }
    uint64_t mapped_size() const override { return size_; }
    std::string_view map_name() const override { return "/dev/zero (deleted)"; }  // as Linux shows it

  private:
    Result<void> fill(uint64_t, Pfn frame) override {
        arch::zero_page(to_pointer(frame));
        return {};
    }

    uint64_t size_;
    PageCache cache_;
};

}  // namespace

Result<core::Ref<Mappable>> create_shared_memory(uint64_t size) {
    core::Ref<Mappable> memory = TRY(core::make_ref<SharedMemory>(size));
    return memory;
}

}  // namespace mm
