// Allocators, page tables and the run queue on the host. Each family begins with its yardstick, something that the
// host's C++ library does; bench/host/run divides by it, so that figures of different machines can be compared.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "mm/address_space.h"
#include "mm/frame_contents.h"
#include "mm/heap.h"
#include "mm_host.h"
#include "sched/run_queue.h"

namespace {

constexpr size_t kMemoryPages = 65536;
constexpr size_t kObjects = 64;

// --- objects: as many as stay alive at once, so that not one and the same is handed out again

void objects_malloc(benchmark::State& state) {
    void* objects[kObjects];
    for (auto _ : state) {
        for (void*& object : objects) benchmark::DoNotOptimize(object = std::malloc(static_cast<size_t>(state.range(0))));
        for (void* object : objects) std::free(object);
    }
}
BENCHMARK(objects_malloc)->Arg(32)->Arg(256)->Arg(2048);

void objects_heap(benchmark::State& state) {
    test_support::reset_memory(kMemoryPages);
    auto heap = std::make_unique<mm::Heap>();
    void* objects[kObjects];
    for (auto _ : state) {
        for (void*& object : objects) benchmark::DoNotOptimize(object = heap->allocate(static_cast<size_t>(state.range(0))));
        for (void* object : objects) heap->deallocate(object);
    }
}
BENCHMARK(objects_heap)->Arg(32)->Arg(256)->Arg(2048);

// --- frames

void frames_aligned_alloc(benchmark::State& state) {
    void* frames[kObjects];
    for (auto _ : state) {
        for (void*& frame : frames) benchmark::DoNotOptimize(frame = std::aligned_alloc(4096, 4096));
        for (void* frame : frames) std::free(frame);
    }
}
BENCHMARK(frames_aligned_alloc);

void frames_allocator(benchmark::State& state) {
    test_support::reset_memory(kMemoryPages);
    core::Pfn frames[kObjects];
    for (auto _ : state) {
        for (core::Pfn& frame : frames)
            frame = *mm::allocate_frame(mm::Fill::kUninitialized, mm::Frame::State::kAnonymous);
        for (core::Pfn frame : frames) mm::unref_frame(frame);
    }
}
BENCHMARK(frames_allocator);

// --- address spaces: the yardstick is what a fork would copy as a flat array of entries

constexpr uint64_t kPageBytes = 4096;

void spaces_copy_entries(benchmark::State& state) {
    const auto pages = static_cast<size_t>(state.range(0));
    std::vector<uint64_t> parent(pages, 1), child(pages);
    for (auto _ : state) {
        std::copy(parent.begin(), parent.end(), child.begin());
        benchmark::DoNotOptimize(child.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(spaces_copy_entries)->Arg(16)->Arg(4096);

core::Ref<mm::AddressSpace> space_with(size_t pages) {
    test_support::reset_memory(kMemoryPages);
    core::Ref<mm::AddressSpace> space = *mm::AddressSpace::create(mm::Model::kConfined);
    mm::MapRequest request;
    request.size = pages * kPageBytes;
    request.protection = mm::Protection{.read = true, .write = true};
    const core::UserAddr start = *space->map(request);
    for (size_t i = 0; i < pages; i++) {
        const std::byte byte{1};
        if (!space->write_memory(core::UserAddr(start.value() + i * kPageBytes), {&byte, 1})) std::abort();
    }
    return space;
}

void spaces_fork(benchmark::State& state) {
    auto space = space_with(static_cast<size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(*space->fork());
}
BENCHMARK(spaces_fork)->Arg(16)->Arg(4096);

// --- the run queue: the yardstick is an ordered map with the same number of threads

void queues_multimap(benchmark::State& state) {
    std::multimap<uint64_t, int> queue;
    for (int i = 0; i < state.range(0); i++) queue.emplace(static_cast<uint64_t>(i), i);
    for (auto _ : state) {
        auto first = queue.begin();
        const auto [time, thread] = *first;
        queue.erase(first);
        queue.emplace(time + sched::kSliceNs, thread);
    }
}
BENCHMARK(queues_multimap)->Arg(2)->Arg(64);

void queues_run_queue(benchmark::State& state) {
    sched::RunQueue queue;
    std::vector<core::Ref<sched::Thread>> threads;
    for (int i = 0; i < state.range(0); i++) {
        threads.push_back(*core::make_ref<sched::Thread>());
        queue.enqueue(*threads.back(), sched::RunQueue::Reason::kPreempted);
    }
    for (auto _ : state) {
        sched::Thread* next = queue.pick();
        queue.charge(*next, sched::kSliceNs);
        queue.enqueue(*next, sched::RunQueue::Reason::kPreempted);
    }
    while (queue.pick()) {}
}
BENCHMARK(queues_run_queue)->Arg(2)->Arg(64);

}  // namespace

BENCHMARK_MAIN();
