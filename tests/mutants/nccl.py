# SPDX-License-Identifier: Apache-2.0
"""Faults put into the channel and the communicator over NCCL on purpose, grouped by header. Form and rules are
those of catalogue.py; tests are tests/comm/nccl/*_fake_test.cpp, programs of checks that define NCCL and the
CUDA runtime themselves and so run without a GPU. They are compiled where nccl.h is found.
"""
from catalogue import Mutant

COMMUNICATOR = "comm/nccl/nccl_fake"
CHANNEL = "comm/nccl/nccl_channel_fake"
FAILURES = "comm/nccl/nccl_failures_fake"
RANDOM = ("comm/nccl/nccl_random_fake", "random programs")
BOTH_ENDED = (FAILURES, "a watchdog ends a wait in CUDA")
LOOK = (FAILURES, "an abort before a look")
SET = (FAILURES, "a set fails together")
DIFFER = (CHANNEL, "calls that differ")
LOST = (FAILURES, "ranks that are lost")
PIECES = (COMMUNICATOR, "host memory of several pieces")


def nccl(name, header, anchor, fault, test):
    return Mutant(name, "comm/" + header, anchor, fault, *test)


NCCL = {
    "detail/nccl_abort.hpp": [
        nccl("kernels not stopped before an abort", "detail/nccl_abort.hpp",
             "if (taken != nullptr) ncclCommRevoke(taken, NCCL_REVOKE_DEFAULT);", "",
             (COMMUNICATOR, "an exception aborts")),
        nccl("one abort after the other", "detail/nccl_abort.hpp",
             "      each->set_ended();\n    }).detach();", "      each->set_ended();\n    }).join();", BOTH_ENDED),
        nccl("a communicator aborted twice", "detail/nccl_abort.hpp",
             "    if (is_claimed_) return false;\n", "", SET),
        nccl("the first reason forgotten", "detail/nccl_abort.hpp", "    failure_ = reason;\n", "",
             (COMMUNICATOR, "an abort")),
        nccl("an abort without a reason is none", "detail/nccl_abort.hpp",
             'if (reason.empty()) reason = "no reason was given";', "", (FAILURES, "an abort without a reason")),
        nccl("a process whose abort hangs goes on", "detail/nccl_abort.hpp",
             "if (!each->wait_until(end)) end_process(reason);", "if (!each->wait_until(end)) return;",
             (FAILURES, "an abort that hangs")),
    ],
    "detail/nccl_handle.hpp": [
        nccl("a call taken for ended at once", "detail/nccl_handle.hpp",
             "    if (result == ncclInProgress) result = poll();\n    if (result != ncclSuccess) fail(",
             "    if (result != ncclSuccess && result != ncclInProgress) fail(", RANDOM),
        nccl("errors of NCCL unseen while the stream runs", "detail/nccl_handle.hpp",
             "if (result != ncclSuccess && result != ncclInProgress) fail(describe(result), at);",
             "static_cast<void>(result);", (COMMUNICATOR, "an error while the stream runs")),
        nccl("a wait takes an abort for the end", "detail/nccl_handle.hpp",
             "    require_open(at);  // an abort ends the work as well\n  }", "  }", LOOK),
        nccl("a failure aborts nothing", "detail/nccl_handle.hpp", "    abort(error.what());\n    throw error;",
             "    throw error;", (COMMUNICATOR, "a call that fails")),
        nccl("the others of a set go on", "detail/nccl_handle.hpp", "if (other != shared_) all.push_back",
             "if (false) all.push_back", SET),
        nccl("what was split off is in no set", "detail/nccl_handle.hpp", "    child.join_set();\n  }", "  }", SET),
        nccl("what replaces a channel is in no set", "detail/nccl_handle.hpp",
             "    child.join_set();\n    return child;", "    return child;", LOST),
        nccl("operations stopped by a replacement taken for ended", "detail/nccl_handle.hpp",
             "if (!shared_->claim(reason)) throw", 'if (!shared_->claim("")) throw', LOST),
        nccl("a channel that was replaced not ended", "detail/nccl_handle.hpp",
             "    begin_abort_of_claimed(old, reason, limits_.abort_deadline);\n", "    shared_->set_ended();\n", LOST),
        nccl("finalized while an exception passes", "detail/nccl_handle.hpp",
             "if (std::uncaught_exceptions() > exceptions_ && owned_)", "if (false)",
             (FAILURES, "an exception aborts channels")),
        nccl("a lent communicator destroyed", "detail/nccl_handle.hpp",
             "if (owned_ && !shared_->is_claimed()) finalize();", "if (!shared_->is_claimed()) finalize();",
             (CHANNEL, "a lent communicator")),
        nccl("calls on the device of the caller", "detail/nccl_handle.hpp",
             "    const device_guard guard(device());\n    settle(shared_->with(", "    settle(shared_->with(",
             (COMMUNICATOR, "the device of a communicator")),
        nccl("records of failures only at the end", "detail/nccl_handle.hpp",
             "    begin_abort(reason);\n    tell_failure();", "    begin_abort(reason);",
             (FAILURES, "flight records of failures")),
    ],
    "detail/nccl_ticket.hpp": [
        nccl("aborted operations noted as ended", "detail/nccl_ticket.hpp",
             " &&\n           handle_.failure().empty()) {", ") {", LOOK),
        nccl("a ticket is done after an abort", "detail/nccl_ticket.hpp",
             "    state_->handle.require_open(place());  // an abort ends the work as well\n", "", LOOK),
        nccl("a look ends a capture", "detail/nccl_ticket.hpp", "    const capture_guard capture;\n", "",
             (FAILURES, "looks do not end a capture")),
        nccl("tickets of an open group can be waited for", "detail/nccl_ticket.hpp",
             "if (!event_->is_recorded())", "if (false)", (CHANNEL, "tickets of a group")),
        nccl("tickets end with their channel", "detail/nccl_ticket.hpp",
             "    if (!event_ || state_->handle.has_finalized()) return true;", "    if (!event_) return true;",
             (FAILURES, "tickets outlive their channel")),
        nccl("the newest operation taken for the oldest", "detail/nccl_ticket.hpp",
             "std::optional(unfinished_.front().entry)", "std::optional(unfinished_.back().entry)",
             (FAILURES, "a watchdog finds the oldest")),
    ],
    "detail/nccl_device.hpp": [
        nccl("an event that was never recorded has ended", "detail/nccl_device.hpp",
             "return is_recorded_ ? cudaEventQuery(event_) : cudaErrorNotReady;", "return cudaEventQuery(event_);",
             (FAILURES, "a watchdog sees an open group")),
    ],
    "detail/nccl_channel_core.hpp": [
        nccl("destroyed within a group as without one", "detail/nccl_channel_core.hpp",
             "if (group_ && !group_->called.empty())", "if (false)",
             (FAILURES, "a channel destroyed within a group")),
        nccl("reductions not recorded", "detail/nccl_channel_core.hpp",
             "                             .how = how,\n", "", (CHANNEL, "all operations")),
    ],
    "detail/nccl_calls.hpp": [
        nccl("messages of nothing", "detail/nccl_calls.hpp",
             "    if (source.count > 0)\n      group.add(ncclSend", "      group.add(ncclSend",
             (COMMUNICATOR, "all operations")),
        nccl("the own part not copied", "detail/nccl_calls.hpp", "if (r == rank && source.count > 0 &&",
             "if (false && r == rank && source.count > 0 &&", RANDOM),
        nccl("every part reduced from the first", "detail/nccl_calls.hpp",
             "parts.sent.part(first, parts.counts[r]).data", "parts.sent.part(0 * first, parts.counts[r]).data", RANDOM),
        nccl("the largest is the sum", "detail/nccl_calls.hpp", "how == reduction::largest ? ncclMax : ncclSum",
             "how == reduction::largest ? ncclSum : ncclSum", RANDOM),
        nccl("roots not compared", "detail/nccl_calls.hpp", "if (root) called.kind =", "if (false) called.kind =", DIFFER),
        nccl("reductions not compared", "detail/nccl_calls.hpp",
             ".kind = how ? static_cast<std::uint16_t>(*how) : call_header::nothing,", "", DIFFER),
        nccl("counts of ranks not compared", "detail/nccl_calls.hpp", "called.count = hash_of(counts.of_all);",
             "called.count = counts.of_all.size();", DIFFER),
        nccl("blocks of NCCL not limited", "detail/nccl_calls.hpp",
             "if (most_blocks > 0) config.maxCTAs = most_blocks;", "static_cast<void>(most_blocks);",
             (CHANNEL, "options reach NCCL")),
    ],
    "detail/nccl_host_copies.hpp": [
        nccl("every piece sent is the first", "detail/nccl_host_copies.hpp", "from.data() + first, piece.size());",
             "from.data() + 0 * first, piece.size());", PIECES),
        nccl("every piece received is the first", "detail/nccl_host_copies.hpp", "to.data() + first, piece.data()",
             "to.data() + 0 * first, piece.data()", PIECES),
    ],
    "nccl_group.hpp": [
        nccl("the last result of a group", "nccl_group.hpp",
             "if (result_ == ncclSuccess || result_ == ncclInProgress) result_ = result;", "result_ = result;",
             (FAILURES, "a call of a group that fails")),
    ],
    "nccl_channel.hpp": [
        nccl("ranks are lost while operations are under way", "nccl_channel.hpp", "NCCL_SHRINK_ABORT);",
             "NCCL_SHRINK_DEFAULT);", LOST),
        nccl("a rank lost twice", "nccl_channel.hpp", "if (std::ranges::find(ranks, detail::to_int(lost[i])) != ranks.end())", "if (false)",
             (FAILURES, "losses that cannot be")),
        nccl("the watchdog waits for an abort", "nccl_channel.hpp", "state->handle.begin_abort(reason);",
             "state->handle.abort(reason);", BOTH_ENDED),
    ],
    "nccl_registration.hpp": [
        nccl("memory stays registered", "nccl_registration.hpp", "if (registered_ == nullptr) return;", "return;",
             (FAILURES, "registered memory")),
        nccl("memory taken back twice", "nccl_registration.hpp", "registered_(std::exchange(other.registered_, nullptr))",
             "registered_(other.registered_)", (FAILURES, "registered memory")),
    ],
    "gradient_reduction.hpp": [
        nccl("buckets destroyed leave their channel", "gradient_reduction.hpp",
             "    if (begun_ < buckets_.size()) channel_->abort(reason);\n", "", (CHANNEL, "destroyed buckets")),
    ],
}
