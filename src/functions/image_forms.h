#pragma once
// Within the room: JSON of what a function keeps of its image.

#include <boost/json/object.hpp>
#include <string>

#include "base/result.h"
#include "functions/types.h"

namespace mayfly::functions {

boost::json::object image_program_object(const ImageProgram& program);
Result<ImageProgram> image_program_from(const boost::json::object& object,
                                        const std::string& where);
boost::json::object image_settings_object(const ImageSettings& image);
Result<ImageSettings> image_settings_from(const boost::json::object& object,
                                          const std::string& where);

// How long and how many they may be, and that nothing holds a NUL.
Status check_image_settings(const Settings& settings);

}  // namespace mayfly::functions
