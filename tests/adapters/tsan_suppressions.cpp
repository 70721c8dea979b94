// What ThreadSanitizer cannot see into. Debian's httplib is a shared library that was built without
// it: how that makes its statics, once for all threads, looks like a race there.
extern "C" {
const char* __tsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)
const char* __tsan_default_suppressions() { return "called_from_lib:libcpp-httplib\n"; }
}
