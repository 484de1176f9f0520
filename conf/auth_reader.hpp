// Reads `auth` of pglodge.yaml: how clients prove who they are.
#pragma once

#include "conf/daemon_file.hpp"
#include "conf/yaml_reader.hpp"

namespace conf {

/// What is wrong is reported; what is missing keeps its default.
void read_auth(const yaml_value& auth, auth_settings& into);

/// Warns where nobody can pass the method cert, since no door of the settings, which have been read, asks for
/// certificates.
void look_for_client_ca(const yaml_value& auth, const daemon_settings& settings);

}  // namespace conf
