// A sliding window, as window.rs has it.
#pragma once

struct Window {
    int kernel, stride, height, width, top, left, out_height, out_width;
};
