# opencv4nodejs with the modules that pictures take. Its own binding.gyp compiles the sources of
# all modules, and asks a program of its own where OpenCV is; set-up writes that to located.gypi.
{
  "includes": ["located.gypi"],
  "targets": [
    {
      "target_name": "opencv4nodejs",
      "variables": { "cc": "node_modules/@u4/opencv4nodejs/cc" },
      # include/ comes first: see include/opencv2/opencv_modules.hpp.
      "include_dirs": [
        "include",
        "<@(opencv_includes)",
        "<(cc)",
        "<(cc)/core",
        "<(cc)/native-node-utils",
        "node_modules/nan",
      ],
      # The guard of the header that has opencv4nodejs's allocator tell V8 of every matrix. It does
      # so within garbage collections, too, and the one at the end of a process, where no isolate
      # is current any more, then takes a segmentation fault.
      "defines": ["__FF_CUSTOMATMALLOCATOR_H__"],
      # The slowest first, so that no core waits for one of them at the end.
      "sources": [
        "<(cc)/core/Mat.cc",
        "<(cc)/imgproc/MatImgproc.cc",
        "<(cc)/core/core.cc",
        "<(cc)/imgproc/imgproc.cc",
        "<(cc)/imgproc/Contour.cc",
        "<(cc)/opencv4nodejs.cc",
        "<(cc)/core/Vec.cc",
        "<(cc)/imgproc/imgprocConstants.cc",
        "<(cc)/core/Rect.cc",
        "<(cc)/core/Point.cc",
        "<(cc)/imgproc/Moments.cc",
        "<(cc)/core/HistAxes.cc",
        "<(cc)/core/TermCriteria.cc",
        "<(cc)/core/RotatedRect.cc",
        "<(cc)/ExternalMemTracking.cc",
        "<(cc)/core/coreConstants.cc",
        "<(cc)/CustomMatAllocator.cc",
        "<(cc)/core/Size.cc",
      ],
      "conditions": [
        [
          "encoder=='libpng'",
          { "sources": ["png/io.cc"], "include_dirs+": ["png/include"], "libraries": ["-lpng"] },
          {
            "sources": [
              "<(cc)/io/io.cc",
              "<(cc)/io/VideoWriter.cc",
              "<(cc)/io/VideoCapture.cc",
              "<(cc)/highgui/highgui.cc",
              "<(cc)/highgui/highguiConstants.cc",
              "<(cc)/io/ioConstants.cc",
            ],
          },
        ],
      ],
      "libraries": ["<@(opencv_libraries)"],
      "ldflags": ["<@(opencv_ldflags)"],
      "cflags_cc!": ["-fno-rtti", "-fno-exceptions"],
      # The work is done in OpenCV's libraries; -O3 here takes twice as long to compile.
      "configurations": { "Release": { "cflags!": ["-O3"], "cflags": ["-O1", "-w"] } },
    }
  ],
}
