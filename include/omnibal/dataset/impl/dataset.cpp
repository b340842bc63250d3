// SPDX-License-Identifier: Apache-2.0
// The bodies of the module dataset, for the target omnibal::compiled.
#include <omnibal/dataset/impl/length_shape.ipp>
#include <omnibal/dataset/impl/mixture.ipp>
#include <omnibal/dataset/impl/sample_keys.ipp>
#include <omnibal/dataset/impl/table_index.ipp>
