# What spec_lsm_test.go loads: everything is allowed but to read /etc/group.
profile podrt-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  mount,
  umount,
  pivot_root,
  signal,
  ptrace,
  unix,
  dbus,
  deny /etc/group r,
}
