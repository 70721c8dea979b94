// Everything but what needs more than the core: sessions, cookies and the in-memory store. Redis is
// a component of its own (redis_store.hpp), adapters are under adapters/.
#pragma once

#include "websession/clock.hpp"              // IWYU pragma: export
#include "websession/cookie.hpp"             // IWYU pragma: export
#include "websession/copy_sessions.hpp"      // IWYU pragma: export
#include "websession/counters.hpp"           // IWYU pragma: export
#include "websession/csrf.hpp"               // IWYU pragma: export
#include "websession/encrypted_store.hpp"    // IWYU pragma: export
#include "websession/fields.hpp"             // IWYU pragma: export
#include "websession/flash.hpp"              // IWYU pragma: export
#include "websession/http.hpp"               // IWYU pragma: export
#include "websession/key_placement.hpp"      // IWYU pragma: export
#include "websession/key_ring.hpp"           // IWYU pragma: export
#include "websession/log_observer.hpp"       // IWYU pragma: export
#include "websession/memory_store.hpp"       // IWYU pragma: export
#include "websession/observer.hpp"           // IWYU pragma: export
#include "websession/one_time_code.hpp"      // IWYU pragma: export
#include "websession/principal_index.hpp"    // IWYU pragma: export
#include "websession/result.hpp"             // IWYU pragma: export
#include "websession/session.hpp"            // IWYU pragma: export
#include "websession/session_directory.hpp"  // IWYU pragma: export
#include "websession/session_id.hpp"         // IWYU pragma: export
#include "websession/session_manager.hpp"    // IWYU pragma: export
#include "websession/session_options.hpp"    // IWYU pragma: export
#include "websession/session_store.hpp"      // IWYU pragma: export
#include "websession/signed_cookie.hpp"      // IWYU pragma: export
#include "websession/store_decorator.hpp"    // IWYU pragma: export
#include "websession/transport.hpp"          // IWYU pragma: export
#include "websession/value.hpp"              // IWYU pragma: export
