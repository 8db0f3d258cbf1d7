# For test drivers in bash: a kernel with assertions, lock ranks and `weaken=`, beside the release kernel.
#   . "$(dirname "$0")/../lib/debug_kernel.sh"
#   build_debug_kernel       builds $ISOUNIK_BUILD/debug/kernel/isounik.elf; ccache makes a second time cheap

build_debug_kernel() {
    local top build
    top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    build=${ISOUNIK_BUILD:-$top/build}/debug
    echo "building the debug kernel"
    mkdir -p "$build"
    [[ -f $build/build.ninja ]] ||
        cmake -S "$top" -B "$build" -G Ninja -DISOUNIK_KERNEL_DEBUG=ON -DISOUNIK_TOOLS=OFF >"$build/log" 2>&1 ||
        { tail -n 20 "$build/log" >&2; return 1; }
    ninja -C "$build" -j "${ISOUNIK_JOBS:-$(nproc)}" isounik-kernel >"$build/log" 2>&1 ||
        { tail -n 20 "$build/log" >&2; return 1; }
}
