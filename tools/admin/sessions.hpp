// The commands.
#pragma once

#include <memory>
#include <string>
#include <websession/result.hpp>
#include <websession/session_store.hpp>

#include "arguments.hpp"

namespace admin {

// As the program ends.
enum class Exit { done = 0, failed = 1, mistake = 2, none = 3 };

// Carries out any command but `hash`, and writes to the standard output.
websession::Result<Exit> carry_out(const Arguments& arguments,
                                   const std::shared_ptr<websession::SessionStore>& store);
// `placement`: null, if no store is given.
Exit hash(const Arguments& arguments, const std::string& id,
          const websession::KeyPlacement* placement);

// The operand, or a line of the standard input.
std::string operand_of(const Arguments& arguments);

}  // namespace admin
