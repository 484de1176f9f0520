// What the tree of a text says that its statements may do to their session.
#pragma once

#include <string_view>

#include "protocol/statement.hpp"
#include "protocol/statement_tree.hpp"

namespace pgwire {

/// `tree` is that of `text`. Not yet in the verdict is what other readings of the text would give.
verdict read_tree(std::string_view text, const statement_tree& tree);

}  // namespace pgwire
