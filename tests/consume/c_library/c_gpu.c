/* SPDX-License-Identifier: Apache-2.0 */
/* A C program that uses the installed library of device forms, as far as it goes without a GPU. */
#include <stddef.h>
#include <string.h>

#include <omnibal/c/omnibal.h>

int main(void) {
  const omnibal_document_layout layout = {4, -1, 1, 1};
  omnibal_error error;
  if (omnibal_device_rope_workspace(-1) != 0 || omnibal_device_rope_workspace(4097) != 4) return 1;
  if (omnibal_device_lay_documents(NULL, 0, OMNIBAL_ON_DEVICE, &layout, NULL, NULL, NULL, NULL, &error) != 1)
    return 1;
  return strncmp(error.text, "slots = -1", 10) == 0 ? 0 : 1;
}
