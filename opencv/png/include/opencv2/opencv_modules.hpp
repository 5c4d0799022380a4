// As ../../../include/opencv2/opencv_modules.hpp, where imencode is ../../io.cc: it needs neither
// imgcodecs nor highgui, and of videoio the types alone.
#pragma once

#define HAVE_OPENCV_CORE
#define HAVE_OPENCV_IMGPROC
#define HAVE_OPENCV_VIDEOIO
#define HAVE_IO
