#pragma once

#include "core/spec/layer_spec.h"

/// The kinds of layers. Each is described where it is defined, in the file that computes it; a new
/// one is a line here, its file, and a place in the list of layers (layer_list.cpp).
namespace flexae::kinds {

extern const LayerKind kConv;           ///< Conv2D, padding "same"
extern const LayerKind kConvTranspose;  ///< Conv2DTranspose, "same", cut to `out` below and right
extern const LayerKind kDense;          ///< Dense with `activation`
extern const LayerKind kBatchNorm;      ///< BatchNormalization of channels, `activation` behind it
extern const LayerKind kPool;      ///< 2×2, stride 2, "same" (padding does not count in a mean)
extern const LayerKind kUpsample;  ///< nearest 2×, then cut to `out`
extern const LayerKind kDropout;
extern const LayerKind kFlatten;  ///< N×C×H×W → N×(H·W·C)
extern const LayerKind kReshape;  ///< N×(H·W·C) → N×C×H×W

}  // namespace flexae::kinds
