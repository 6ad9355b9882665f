#pragma once
// PackageType Image: what it means for the settings of a function, and how it is shown. Pure.

#include <boost/json/object.hpp>

#include "aws/service.h"
#include "functions/images.h"
#include "functions/types.h"

namespace mayfly::dialects::lambda_api {

// Of CreateFunction: whether the input asks for an image; refuses what does not go with that.
aws::Outcome<bool> wants_image(const boost::json::object& input);
// Of UpdateFunctionCode and UpdateFunctionConfiguration: a function stays what it was made as.
aws::Outcome<void> check_package_type(const boost::json::object& input,
                                      const functions::Settings& present);

// ImageConfig of the input, when it has one, over the image's own.
void take_image_config(const boost::json::object& input, functions::Settings& settings);
// Code.ImageUri, or ImageUri, of code; the tree of the image. Marks settings as those of an image.
aws::Outcome<std::string> take_image(const boost::json::object& code,
                                     const functions::Images& images,
                                     functions::Settings& settings);

// In place of what FunctionConfiguration says of a package.
void show_image(const functions::Settings& settings, boost::json::object& configuration);
// GetFunction's Code.
boost::json::object image_code(const functions::Settings& settings);

}  // namespace mayfly::dialects::lambda_api
