// The files that all pages share.
#pragma once

extern const char* const style_css;
extern const char* const countdown_js;
extern const char* const icon_svg;
