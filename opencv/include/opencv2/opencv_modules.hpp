// The modules of OpenCV that opencv4nodejs is to bind. It stands in front of the system's file of
// this name, which lists all that are installed: binding them all takes five times as long.
// opencv4nodejs encodes pictures only where highgui, imgcodecs and videoio are all there.
#pragma once

#define HAVE_OPENCV_CORE
#define HAVE_OPENCV_HIGHGUI
#define HAVE_OPENCV_IMGCODECS
#define HAVE_OPENCV_IMGPROC
#define HAVE_OPENCV_VIDEOIO
