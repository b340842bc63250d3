// SPDX-License-Identifier: Apache-2.0
/// @file
/// The layers of the trainer's vision-language model; model.hpp puts them in order,
/// layers/block.hpp says what a layer is.
#pragma once

#include "layers/block.hpp"
#include "layers/decoder_block.hpp"
#include "layers/embedding.hpp"
#include "layers/head.hpp"
#include "layers/parameter.hpp"
#include "layers/patch_embedding.hpp"
#include "layers/projector.hpp"
#include "layers/vision_block.hpp"
