// SPDX-License-Identifier: Apache-2.0
// The bodies of the module comm, for the target omnibal::compiled.
#include <omnibal/comm/impl/agreement.ipp>
#include <omnibal/comm/impl/balanced_exchange.ipp>
#include <omnibal/comm/impl/communicator.ipp>
#include <omnibal/comm/impl/flight_recorder.ipp>
#include <omnibal/comm/impl/flight_report.ipp>
#include <omnibal/comm/impl/gradient_reduction.ipp>
#include <omnibal/comm/impl/host_channel.ipp>
#include <omnibal/comm/impl/letter_board.ipp>
#include <omnibal/comm/impl/meeting_file.ipp>
#include <omnibal/comm/impl/meeting_point.ipp>
#include <omnibal/comm/impl/missing_ranks.ipp>
#include <omnibal/comm/impl/pipeline_link.ipp>
#include <omnibal/comm/impl/sharded_step.ipp>
#include <omnibal/comm/impl/tensor.ipp>
#include <omnibal/comm/impl/thread_channel.ipp>
#include <omnibal/comm/impl/thread_communicator.ipp>
#include <omnibal/comm/impl/watchdog.ipp>
