#include "protocol/statement_reader.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>

#include "protocol/startup_options.hpp"
#include "protocol/statement_values.hpp"
#include "protocol/statement_words.hpp"

namespace pgwire {
namespace {

constexpr std::int32_t cursor_with_hold = 0x20;  // CURSOR_OPT_HOLD

// As meaning_of() compares.
bool is_named(std::string_view name, std::string_view known) { return fold_name(name) == known; }

// There is more to it than was found.
verdict unread(verdict found) {
  found.statements.clear();
  found.traits.add({trait::unseen, trait::ambiguous});
  return found;
}

// Reads one text's tree into a verdict.
class reader {
 public:
  explicit reader(std::string_view text) : text_(text) {}

  verdict read(const statement_tree& tree) {
    bool only_sets = true;
    for (auto* statement : tree.statements()) {
      const auto begin = static_cast<std::uint32_t>(statement->stmt_location);
      const auto length = static_cast<std::uint32_t>(statement->stmt_len);
      const auto end = length == 0 ? static_cast<std::uint32_t>(text_.size()) : begin + length;
      out_.statements.push_back({.begin = begin, .end = end});
      if (statement->stmt == nullptr) continue;
      only_sets = only_sets && sets_only(*statement->stmt);
      read_top(*statement->stmt);
      walk(*statement->stmt);
    }
    if (only_sets && !out_.statements.empty()) add(trait::only_sets);
    std::ranges::sort(parameters_);
    for (auto at = parameters_.begin(); (at = std::adjacent_find(at, parameters_.end())) != parameters_.end();) {
      out_.repeated.push_back(*at);
      at = std::upper_bound(at, parameters_.end(), *at);
    }
    // Named otherwise than in a call, it is called by something else: an aggregate, an operator, a cast.
    return mentions_ == calls_ ? std::move(out_) : unread(std::move(out_));
  }

 private:
  static bool sets_only(const PgQuery__Node& statement) {
    if (statement.node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT) return true;
    return statement.node_case == PG_QUERY__NODE__NODE_DISCARD_STMT &&
           statement.discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL;
  }

  void read_top(PgQuery__Node& node) {
    switch (node.node_case) {
      case PG_QUERY__NODE__NODE_SELECT_STMT: read_select(*node.select_stmt); return;
      case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        if (auto* query = node.explain_stmt->query) read_top(*query);
        return;
      case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT: read_set(*node.variable_set_stmt); return;
      case PG_QUERY__NODE__NODE_TRANSACTION_STMT: read_transaction(*node.transaction_stmt); return;
      case PG_QUERY__NODE__NODE_DISCARD_STMT: read_discard(*node.discard_stmt); return;
      case PG_QUERY__NODE__NODE_PREPARE_STMT:
        out_.traits.add({trait::prepared, trait::keeps});
        out_.prepares.emplace_back(node.prepare_stmt->name);
        return;
      case PG_QUERY__NODE__NODE_DEALLOCATE_STMT: {
        add(trait::prepared);
        const std::string_view name = node.deallocate_stmt->name;
        if (name.empty()) {
          add(trait::deallocate_all);
        } else {
          out_.deallocates.emplace_back(name);
        }
        return;
      }
      case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
        if ((node.declare_cursor_stmt->options & cursor_with_hold) != 0) {
          out_.traits.add({trait::hold_cursor, trait::keeps});
        }
        return;
      case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT: add(trait::hold_cursor); return;
      case PG_QUERY__NODE__NODE_LISTEN_STMT: out_.traits.add({trait::listening, trait::keeps}); return;
      case PG_QUERY__NODE__NODE_UNLISTEN_STMT: add(trait::listening); return;
      case PG_QUERY__NODE__NODE_LOAD_STMT: out_.traits.add({trait::load, trait::keeps}); return;
      case PG_QUERY__NODE__NODE_CREATE_STMT:
        add(trait::defines);
        read_temporary(*node.create_stmt->relation, node.create_stmt->oncommit);
        return;
      case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        add(trait::defines);
        read_temporary(*node.create_table_as_stmt->into->rel, node.create_table_as_stmt->into->on_commit);
        return;
      case PG_QUERY__NODE__NODE_VIEW_STMT:
        add(trait::defines);
        read_temporary(*node.view_stmt->view, {});
        return;
      case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
        add(trait::defines);
        read_temporary(*node.create_seq_stmt->sequence, {});
        return;
      case PG_QUERY__NODE__NODE_DO_STMT:
      case PG_QUERY__NODE__NODE_CALL_STMT: add(trait::unseen); return;
      case PG_QUERY__NODE__NODE_DROP_STMT:
      case PG_QUERY__NODE__NODE_DROP_OWNED_STMT: out_.traits.add({trait::drops, trait::defines}); return;
      // They leave the session and all definitions alone.
      case PG_QUERY__NODE__NODE_INSERT_STMT:
      case PG_QUERY__NODE__NODE_UPDATE_STMT:
      case PG_QUERY__NODE__NODE_DELETE_STMT:
      case PG_QUERY__NODE__NODE_MERGE_STMT:
      case PG_QUERY__NODE__NODE_EXECUTE_STMT:
      case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
      case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
      case PG_QUERY__NODE__NODE_FETCH_STMT:
      case PG_QUERY__NODE__NODE_NOTIFY_STMT:
      case PG_QUERY__NODE__NODE_COPY_STMT:
      case PG_QUERY__NODE__NODE_LOCK_STMT:
      case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
      case PG_QUERY__NODE__NODE_VACUUM_STMT:
      case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
      case PG_QUERY__NODE__NODE_REINDEX_STMT:
      case PG_QUERY__NODE__NODE_CLUSTER_STMT:
      case PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT:
      case PG_QUERY__NODE__NODE_ALTER_SYSTEM_STMT: return;
      default: add(trait::defines); return;
    }
  }

  // INTO counts where the server takes it: in the first leaf of the set operations of a statement that is a SELECT.
  void read_select(PgQuery__SelectStmt& top) {
    auto* first = &top;
    while (first->larg != nullptr) first = first->larg;
    if (first->into_clause == nullptr) return;
    add(trait::defines);
    read_relation(*first->into_clause->rel);
    read_temporary(*first->into_clause->rel, first->into_clause->on_commit);
  }

  // What is made by it outlives the transaction, but for ON COMMIT DROP.
  void read_temporary(const PgQuery__RangeVar& relation, PgQuery__OnCommitAction at_commit) {
    const bool is_dropped = at_commit == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP;
    if (std::string_view(relation.relpersistence) == "t" && !is_dropped) add(trait::keeps);
  }

  void read_transaction(const PgQuery__TransactionStmt& statement) {
    switch (statement.kind) {
      case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
      case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START: add(trait::begins); return;
      case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
      case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
      case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE: add(trait::ends_transaction); return;
      default: return;
    }
  }

  void read_discard(const PgQuery__DiscardStmt& statement) {
    switch (statement.target) {
      case PG_QUERY__DISCARD_MODE__DISCARD_PLANS: add(trait::discards_plans); return;
      case PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES: add(trait::discards_sequences); return;
      case PG_QUERY__DISCARD_MODE__DISCARD_TEMP: out_.traits.add({trait::temporary, trait::drops}); return;
      default:
        out_.traits.add({trait::reset_all, trait::discard_all, trait::prepared, trait::deallocate_all, trait::listening,
                         trait::temporary, trait::hold_cursor, trait::advisory_lock, trait::discards_sequences,
                         trait::discards_plans, trait::drops});
        return;
    }
  }

  void read_set(const PgQuery__VariableSetStmt& statement) {
    const auto args = list_of(statement.args, statement.n_args);
    std::vector<operand> values;
    switch (statement.kind) {
      case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL: add(trait::reset_all); return;
      case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
        if (std::string_view(statement.name) == "SESSION CHARACTERISTICS") {
          read_characteristics(args, statement.is_local);
        }
        return;
      case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
        for (const auto* arg : args) {
          // SET TIME ZONE INTERVAL '..' is the only value that is an expression.
          const bool is_constant = arg->node_case == PG_QUERY__NODE__NODE_A_CONST;
          values.push_back(is_constant ? read_argument(arg).value : operand{});
        }
        break;
      case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_CURRENT: values.emplace_back(); break;
      default: break;
    }
    add_setting(constant(statement.name), std::move(values), statement.is_local);
  }

  void read_characteristics(std::span<PgQuery__Node* const> modes, bool local) {
    for (const auto* mode : modes) {
      if (mode->node_case != PG_QUERY__NODE__NODE_DEF_ELEM) continue;
      auto value = read_argument(mode->def_elem->arg).value;
      if (const std::string_view name = mode->def_elem->defname; name != "transaction_isolation") {
        value.text = value.text == "0" ? "off" : "on";
      }
      add_setting(constant("default_" + std::string(mode->def_elem->defname)), {std::move(value)}, local);
    }
  }

  void read_set_config(const PgQuery__FuncCall& call) {
    std::array<const PgQuery__Node*, 3> by_place{};
    const auto args = list_of(call.args, call.n_args);
    bool is_clear = args.size() == by_place.size() && !call.func_variadic;
    for (std::size_t i = 0; is_clear && i < args.size(); ++i) {
      auto place = i;
      if (args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) {
        constexpr auto names = std::to_array<std::string_view>({"setting_name", "new_value", "is_local"});
        place = static_cast<std::size_t>(
            std::distance(names.begin(), std::ranges::find(names, std::string_view(args[i]->named_arg_expr->name))));
      }
      is_clear = place < by_place.size() && by_place[place] == nullptr;
      if (is_clear) by_place[place] = args[i];
    }
    if (!is_clear) {  // none of PostgreSQL's own, so what it does cannot be known
      add(trait::unseen);
      return;
    }
    auto name = read_argument(by_place[0]);
    auto value = read_argument(by_place[1]);
    if (name.by_any_type) name.value = {};
    if (name.value.from == operand::source::unknown) add(trait::unseen);
    std::vector<operand> values;
    value.value.by_any_type = value.by_any_type;
    if (!value.is_null) values.push_back(std::move(value.value));
    add_setting(std::move(name.value), std::move(values), is_surely_true(by_place[2]), true);
  }

  void add_setting(operand name, std::vector<operand> values, bool local, bool called = false) {
    if (name.from == operand::source::constant) {
      name.text = canonical_setting_name(name.text);
      const std::string_view canonical = name.text;
      if (fold_name(canonical) != canonical) add(trait::unseen);  // a server may fold it to another name
      // It has no value that could be shown or set again.
      if (canonical == "seed") return out_.traits.add({trait::random_seed, trait::keeps});
      if (canonical == "session_authorization" && !values.empty()) add(trait::keeps);
      if (canonical == "role" || canonical == "session_authorization") add(trait::session_identity);
      local = local || canonical == "transaction_isolation" || canonical == "transaction_read_only" ||
              canonical == "transaction_deferrable";
    }
    out_.settings.push_back({.name = std::move(name),
                             .values = std::move(values),
                             .local = local,
                             .called = called,
                             .statement = static_cast<std::uint32_t>(out_.statements.size() - 1)});
  }

  void read_relation(const PgQuery__RangeVar& relation) {
    if (std::string_view(relation.relpersistence) == "t") add(trait::temporary);
    read_name(relation.schemaname);
  }

  void read_name(std::string_view name) {
    if (name.empty()) return;
    const auto means = meaning_of(name);
    if (!means) return;
    out_.traits.add(*means);
    const bool takes = means->has_any({trait::random_seed, trait::lingering}) ||
                       (means->has(trait::advisory_lock) && !fold_name(name).contains("unlock"));
    if (takes) add(trait::keeps);
  }

  // Every message of a statement, wherever an expression can stand.
  void walk(const PgQuery__Node& statement) {
    stack_.assign(1, &statement.base);
    while (!stack_.empty()) {
      const auto* message = stack_.back();
      stack_.pop_back();
      if (!visit(*message)) continue;
      const auto known = static_cast<std::ptrdiff_t>(stack_.size());
      append_children(*message, stack_);
      std::reverse(stack_.begin() + known, stack_.end());
    }
  }

  template <class Message>
  static const Message& as(const ProtobufCMessage& message) {
    return reinterpret_cast<const Message&>(message);
  }

  // False: nothing below it matters.
  bool visit(const ProtobufCMessage& message) {
    const auto* type = message.descriptor;
    // What a literal says is no name; and SET in the definition of a function or role is none of the session's.
    if (type == &pg_query__a__const__descriptor || type == &pg_query__variable_set_stmt__descriptor) return false;
    if (type == &pg_query__string__descriptor) {
      const std::string_view name = as<PgQuery__String>(message).sval;
      mentions_ += is_named(name, "set_config") ? 1 : 0;
      read_name(name);
    } else if (type == &pg_query__column_ref__descriptor) {
      const auto& column = as<PgQuery__ColumnRef>(message);
      if (is_named(last_of(list_of(column.fields, column.n_fields)), "set_config")) --mentions_;  // no function's
    } else if (type == &pg_query__func_call__descriptor) {
      const auto& call = as<PgQuery__FuncCall>(message);
      if (is_named(last_of(list_of(call.funcname, call.n_funcname)), "set_config")) {
        ++calls_;
        read_set_config(call);
      }
    } else if (type == &pg_query__param_ref__descriptor) {
      parameters_.push_back(static_cast<std::uint16_t>(as<PgQuery__ParamRef>(message).number));
    } else if (type == &pg_query__range_var__descriptor) {
      read_relation(as<PgQuery__RangeVar>(message));
    } else if (type == &pg_query__update_stmt__descriptor) {
      read_target(as<PgQuery__UpdateStmt>(message).relation);
    } else if (type == &pg_query__merge_stmt__descriptor) {
      read_target(as<PgQuery__MergeStmt>(message).relation);
    } else if (type == &pg_query__execute_stmt__descriptor) {
      add(trait::prepared);
      out_.executes.emplace_back(as<PgQuery__ExecuteStmt>(message).name);
    } else if (type == &pg_query__select_stmt__descriptor) {
      // Elsewhere than where read_select() looks, INTO is an error.
      const_cast<PgQuery__SelectStmt&>(as<PgQuery__SelectStmt>(message)).into_clause = nullptr;
    }
    return true;
  }

  // The view's rule calls set_config(), for names that the table gives.
  void read_target(const PgQuery__RangeVar* relation) {
    if (relation == nullptr || !is_named(relation->relname, "pg_settings")) return;
    add(trait::unseen);
    const std::string_view schema = relation->schemaname;
    if (schema.empty() || schema == "pg_catalog") add_setting(operand(), {operand()}, false, true);
  }

  void add(trait one) { out_.traits.add(one); }

  std::string_view text_;
  verdict out_;
  int mentions_ = 0, calls_ = 0;           // of set_config
  std::vector<std::uint16_t> parameters_;  // n of each $n
  std::vector<const ProtobufCMessage*> stack_;
};

}  // namespace

verdict read_tree(std::string_view text, const statement_tree& tree) { return reader(text).read(tree); }

}  // namespace pgwire
