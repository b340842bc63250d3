// SPDX-License-Identifier: Apache-2.0
/// @file
/// Communication between ranks. The communicators over MPI and NCCL are in comm/mpi.hpp and
/// comm/nccl.hpp.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#pragma GCC diagnostic pop
