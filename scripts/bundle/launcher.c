// Starts the programs of a bundle: bin/flexae, bin/flexae-setup and bin/node are links to it. It is
// linked statically, since an empty root has no C library, and no shell either.
//
// It finds the libtorch, for which the addon was linked without a path, and chooses the C library:
// the host's if that is new enough for everything in the bundle, else the bundle's. A host's driver
// for a GPU asks for no more than what the newer of both has, so it works with either.

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Given by the compiler's command line: FLEXAE_LOADER, the host's loader, and FLEXAE_GLIBC_MINOR,
// the 2.x that the newest symbol asked for by the bundle's files needs.

static const char* name = "flexae";

static _Noreturn void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", name);
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  exit(1);
}

/// Formatted text that nobody frees.
static char* text(const char* format, ...) {
  va_list arguments;
  char* made = NULL;
  va_start(arguments, format);
  if (vasprintf(&made, format, arguments) < 0) fail("out of memory");
  va_end(arguments);
  return made;
}

/// The bundle's folder: that above the one this program lies in.
static char* bundle_folder(const char* called) {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length > 0) {
    path[length] = 0;
  } else if (strchr(called, '/') == NULL || realpath(called, path) == NULL) {
    fail("cannot tell where it lies: /proc is not mounted. Start it by its whole path.");
  }
  for (int i = 0; i < 2; ++i) {
    char* slash = strrchr(path, '/');
    if (slash == NULL) fail("%s is not in a bundle", path);
    *slash = 0;
  }
  return text("%s", path);
}

/// The x of the glibc 2.x that the host's loader says it is of; -1 if there is none or it is older
/// than 2.33, before which it did not say.
static int host_glibc(void) {
  FILE* file = fopen(FLEXAE_LOADER, "rb");
  if (file == NULL) return -1;
  static char bytes[4 << 20];
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  static const char words[] = " release version 2.";
  const char* found = memmem(bytes, size, words, sizeof words - 1);
  return found == NULL ? -1 : atoi(found + sizeof words - 1);
}

/// What set-up noted of the libtorch that it fetched; NULL without a note.
static char* noted_libtorch(const char* bundle) {
  FILE* file = fopen(text("%s/app/.setup/libtorch", bundle), "r");
  if (file == NULL) return NULL;
  static char line[PATH_MAX];
  char* read = fgets(line, sizeof line, file);
  fclose(file);
  if (read == NULL) return NULL;
  line[strcspn(line, "\n")] = 0;
  return line[0] == 0 ? NULL : line;
}

/// The folders of libtorch's libraries, each with a colon before it: its own, and those of the
/// packages with CUDA's libraries that lie beside a Python's torch.
static char* libtorch_folders(const char* libtorch) {
  char* folders = text(":%s/lib", libtorch);
  DIR* nvidia = opendir(text("%s/../nvidia", libtorch));
  if (nvidia == NULL) return folders;
  for (struct dirent* entry = readdir(nvidia); entry != NULL; entry = readdir(nvidia)) {
    if (entry->d_name[0] == '.') continue;
    char* folder = text("%s/../nvidia/%s/lib", libtorch, entry->d_name);
    if (access(folder, R_OK) == 0) folders = text("%s:%s", folders, folder);
  }
  closedir(nvidia);
  return folders;
}

int main(int argc, char** argv) {
  if (argc < 1) fail("started without a name");
  const char* slash = strrchr(argv[0], '/');
  name = slash == NULL ? argv[0] : slash + 1;
  char* bundle = bundle_folder(argv[0]);

  char* libtorch = getenv("LIBTORCH");
  if (libtorch == NULL || libtorch[0] == 0) {
    libtorch = noted_libtorch(bundle);
    if (libtorch != NULL) setenv("LIBTORCH", libtorch, 1);
  }

  // The loader's own option, and not LD_LIBRARY_PATH, which programs started from here would
  // inherit. What the user has there still counts, last: some clusters name their driver so.
  char* path = text("%s/lib", bundle);
  char* loader = FLEXAE_LOADER;
  if (host_glibc() < FLEXAE_GLIBC_MINOR) {
    path = text("%s/lib/glibc:%s", bundle, path);
    loader = text("%s/lib/glibc/%s", bundle, strrchr(FLEXAE_LOADER, '/') + 1);
  }
  if (libtorch != NULL) path = text("%s%s", path, libtorch_folders(libtorch));
  const char* users = getenv("LD_LIBRARY_PATH");
  if (users != NULL && users[0] != 0) path = text("%s:%s", path, users);

  char** command = calloc((size_t)argc + 8, sizeof *command);
  if (command == NULL) fail("out of memory");
  int count = 0;
  command[count++] = loader;
  command[count++] = "--library-path";
  command[count++] = path;
  command[count++] = text("%s/lib/node", bundle);
  command[count++] = "--require";
  command[count++] = text("%s/lib/program.cjs", bundle);
  if (strcmp(name, "flexae-setup") == 0) {
    command[count++] = text("%s/app/scripts/quickstart.mjs", bundle);
  } else if (strcmp(name, "node") != 0) {
    command[count++] = text("%s/app/scripts/flexae.mjs", bundle);
  }
  for (int i = 1; i < argc; ++i) command[count++] = argv[i];
  execv(loader, command);
  fail("cannot start %s: %s", loader, strerror(errno));
}
