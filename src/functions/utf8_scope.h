#pragma once
// Within the room: for reading archives.

#include <locale.h>

namespace mayfly::functions {

// Names in archives are UTF-8; libarchive converts them by the locale of the thread.
class Utf8Scope {
 public:
  Utf8Scope() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = uselocale(locale_);
  }
  Utf8Scope(const Utf8Scope&) = delete;
  Utf8Scope& operator=(const Utf8Scope&) = delete;
  ~Utf8Scope() {
    if (locale_ == nullptr) return;
    uselocale(before_);
    freelocale(locale_);
  }

 private:
  locale_t locale_;
  locale_t before_ = nullptr;
};

}  // namespace mayfly::functions
