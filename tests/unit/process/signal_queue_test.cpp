#include <gtest/gtest.h>

#include "process/signal.h"
#include "process/signal_state.h"

using namespace process;

namespace {

QueuedSignal* entry(int signal, int code) {
    auto* made = new QueuedSignal;
    made->info.signal = signal;
    made->info.code = code;
    return made;
}

struct Taken { int signal, code; };
Taken take(PendingSignals& queue, SignalSet wanted = {~0ull}) {
    SignalInfo info;
    QueuedSignal* freed;
    if (!queue.take(wanted, info, freed)) return {0, 0};
    free_entry(freed);
    return {info.signal, info.code};
}

TEST(SignalSet, CountsFromOne) {
    SignalSet set;
    set.add(1);
    set.add(64);
    EXPECT_EQ(set.bits, 1ull << 63 | 1);
    EXPECT_TRUE(set.has(64));
    set.remove(1);
    EXPECT_FALSE(set.has(1));
    EXPECT_EQ(SignalSet::of(9).bits, 0x100u);
}

TEST(SignalActions, StoresAndCopiesWhatIsNotTheDefault) {
    SignalActions actions;
    for (int signal = 1; signal <= kSigMax; signal++) EXPECT_EQ(actions[signal], SignalAction());
    actions.set(1, {0x1000, kSaRestart, 0x2000, SignalSet::of(2)});
    actions.set(64, {kSigIgn, kSaNoDefer, 0, {}});
    actions.set(17, {kSigDfl, kSaNoCldWait, 0, {}});
    SignalActions copy = actions;
    actions.set(1, {});
    EXPECT_EQ(actions[1], SignalAction());
    EXPECT_EQ(copy[1].handler, 0x1000u);
    EXPECT_EQ(copy[1].mask, SignalSet::of(2));
    EXPECT_EQ(copy[17].flags, kSaNoCldWait);
    copy.set_handler(1, kSigDfl);
    EXPECT_EQ(copy[1].flags, kSaRestart);
    copy.reset_handlers();
    for (int signal = 1; signal < kSigMax; signal++) EXPECT_EQ(copy[signal], SignalAction());
    EXPECT_EQ(copy[64].handler, kSigIgn);
    EXPECT_EQ(copy[64].flags, 0u);
}

TEST(PendingSignals, KeepsOneOfEachStandardSignal) {
    PendingSignals queue;
    EXPECT_EQ(queue.add(kSigUsr1, entry(kSigUsr1, 1)), nullptr);
    QueuedSignal* second = entry(kSigUsr1, 2);
    EXPECT_EQ(queue.add(kSigUsr1, second), second);
    delete second;
    EXPECT_EQ(take(queue).code, 1);
    EXPECT_EQ(take(queue).signal, 0);
    EXPECT_TRUE(queue.set().empty());
}

TEST(PendingSignals, QueuesRealTimeSignalsInOrder) {
    PendingSignals queue;
    for (int i = 0; i < 3; i++) EXPECT_EQ(queue.add(40, entry(40, i)), nullptr);
    EXPECT_EQ(queue.add(35, entry(35, 9)), nullptr);
    EXPECT_EQ(queue.size(), 4u);
    EXPECT_EQ(take(queue).signal, 35);
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(queue.set().has(40));
        EXPECT_EQ(take(queue).code, i);
    }
    EXPECT_FALSE(queue.set().has(40));
}

TEST(PendingSignals, DeliversFaultsFirstThenTheLowest) {
    PendingSignals queue;
    for (int signal : {kSigTerm, kSigHup, kSigSegv, 33}) queue.add(signal, nullptr);
    EXPECT_EQ(take(queue).signal, kSigSegv);
    EXPECT_EQ(take(queue).signal, kSigHup);
    EXPECT_EQ(take(queue).signal, kSigTerm);
    EXPECT_EQ(take(queue).signal, 33);
}

TEST(PendingSignals, TakesOnlyWhatIsWanted) {
    PendingSignals queue;
    queue.add(kSigInt, nullptr);
    queue.add(kSigTerm, nullptr);
    EXPECT_EQ(take(queue, SignalSet::of(kSigTerm)).signal, kSigTerm);
    EXPECT_EQ(take(queue, SignalSet::of(kSigTerm)).signal, 0);
    EXPECT_EQ(take(queue).signal, kSigInt);
}

TEST(PendingSignals, DeliversWithoutInformation) {
    PendingSignals queue;
    queue.add(34, nullptr);
    SignalInfo info;
    QueuedSignal* freed;
    ASSERT_TRUE(queue.take({~0ull}, info, freed));
    EXPECT_EQ(freed, nullptr);
    EXPECT_EQ(info.signal, 34);
    EXPECT_EQ(info.code, kSiUser);
}

TEST(PendingSignals, DropsAllOfASet) {
    PendingSignals queue;
    queue.add(kSigTstp, entry(kSigTstp, 0));
    queue.add(40, entry(40, 0));
    queue.add(40, entry(40, 1));
    PendingSignals::EntryList dropped;
    queue.drop(kStopSignals | SignalSet::of(40), dropped);
    EXPECT_EQ(dropped.size(), 3u);
    EXPECT_TRUE(queue.set().empty());
    free_entries(dropped);
    EXPECT_EQ(take(queue).signal, 0);
}

TEST(PendingSignals, TellsOwnersOfEmbeddedEntries) {
    PendingSignals queue;
    static int told;
    told = 0;
    QueuedSignal embedded;
    embedded.taken = [](QueuedSignal&, SignalInfo& info) { told++; info.code = kSiTimer; };
    EXPECT_EQ(queue.add(kSigAlrm, &embedded), nullptr);
    EXPECT_EQ(take(queue).code, kSiTimer);
    EXPECT_EQ(told, 1);
    queue.add(40, &embedded);
    queue.add(40, nullptr);
    queue.remove(embedded);
    EXPECT_EQ(queue.size(), 0u);
}

TEST(DefaultAction, IsAsSignal7Says) {
    EXPECT_EQ(default_action(kSigChld), DefaultAction::kIgnore);
    EXPECT_EQ(default_action(kSigUrg), DefaultAction::kIgnore);
    EXPECT_EQ(default_action(kSigWinch), DefaultAction::kIgnore);
    EXPECT_EQ(default_action(kSigCont), DefaultAction::kContinue);
    for (int signal : {kSigStop, kSigTstp, kSigTtin, kSigTtou}) EXPECT_EQ(default_action(signal), DefaultAction::kStop);
    for (int signal : {kSigHup, kSigSegv, kSigKill, 32, 64}) {
        EXPECT_EQ(default_action(signal), DefaultAction::kTerminate);
    }
}

}  // namespace
