// SPDX-License-Identifier: Apache-2.0
/// @file
/// Communication between ranks. What needs MPI or NCCL is in comm/mpi.hpp, comm/mpi_channel.hpp,
/// comm/nccl.hpp and comm/nccl_channel.hpp.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/balanced_exchange.hpp>
#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/flight_report.hpp>
#include <omnibal/comm/gradient_reduction.hpp>
#include <omnibal/comm/meeting_file.hpp>
#include <omnibal/comm/missing_ranks.hpp>
#include <omnibal/comm/pipeline_link.hpp>
#include <omnibal/comm/sharded_step.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/comm/watchdog.hpp>

#pragma GCC diagnostic pop
