#pragma once
// What the control API and the native API share about layers.

#include <string>
#include <vector>

#include "aws/service.h"
#include "dialects/lambda_api/names.h"
#include "functions/layers.h"
#include "functions/types.h"

namespace mayfly::dialects::lambda_api {

// Lengths of its texts and lists, and the architectures.
aws::Outcome<void> check_layer(const functions::LayerVersion& layer);

// A layer that is named without a version.
enum class Unversioned { refused, newest };
// Gives the settings these layers, in this order, and keeps how they are shown.
aws::Outcome<void> give_layers(const functions::Layers& layers, const Home& home,
                               const std::vector<std::string>& refs, Unversioned unversioned,
                               functions::Settings& settings);

}  // namespace mayfly::dialects::lambda_api
