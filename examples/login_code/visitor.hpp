// What a visitor's browser sends, and how far to believe it.
#pragma once

#include <httplib.h>

#include <optional>
#include <string>

// The e-mail address in what somebody typed, in lower case; none when it cannot be one. So the same
// person is one principal, however the address is written today, and nothing in it can break out of
// a mail's header.
std::optional<std::string> parse_address(const std::string& typed);

// "Firefox on Linux", from the User-Agent header, which says whatever its sender likes: good enough
// to tell one's own devices apart, and for nothing else.
std::string device_label(const std::string& user_agent);

// Whether a page of this very site sent the form, as far as the browser tells. Pages of other sites
// can send forms here, too, but they cannot choose these headers.
bool sent_from_this_site(const httplib::Request& req);
