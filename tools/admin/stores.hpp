// Stores by their URLs.
#pragma once

#include <memory>
#include <websession/result.hpp>
#include <websession/session_store.hpp>

#include "arguments.hpp"

namespace admin {

// Of any kind that this program was built with. Never makes a file or a table that is not there.
websession::Result<std::shared_ptr<websession::SessionStore>> open_store(
    const Arguments& arguments);

// Whether ids lead to keys there by where they lie.
bool is_cluster(const Arguments& arguments);

}  // namespace admin
