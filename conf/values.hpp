// Values that several sections of the routing table share: names, templates, lists of them.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/yaml_reader.hpp"
#include "routing/route.hpp"
#include "routing/template.hpp"

namespace conf {

/// A name of a role, schema or database.
std::optional<std::string> read_name(const yaml_value& value);

/// A list of them, at least one. `none` is what to write for none.
std::optional<std::vector<std::string>> read_names(const yaml_value& list, std::string_view none);

/// A template of these variables. Whether its literal text makes a possible name is checked as well.
std::optional<routing::name_template> read_template(const yaml_value& value,
                                                    std::initializer_list<std::string_view> variables);

/// A setting's value: any scalar as it was written, {tenant} allowed if `variables` has it.
std::optional<routing::name_template> read_setting_value(const yaml_value& value,
                                                         std::initializer_list<std::string_view> variables);

/// session | transaction
std::optional<routing::pool_mode> read_pool_mode(const yaml_value& value);

}  // namespace conf
