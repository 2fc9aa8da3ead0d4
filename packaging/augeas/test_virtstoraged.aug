module Test_virtstoraged =

   (* Every key, in libvirt's tree. *)
   let every_key = "log_level = 3
log_filters = \"1:rpc 1:storage\"
log_outputs = \"3:syslog:virtstoraged\"
max_clients = 5000
admin_max_clients = 50
max_anonymous_clients = 20
max_client_requests = 5
unix_sock_group = \"libvirt\"
unix_sock_dir = \"/run/libvirt\"
unix_sock_ro_perms = \"0777\"
unix_sock_rw_perms = \"0770\"
unix_sock_admin_perms = \"0700\"
auth_unix_ro = \"none\"
auth_unix_rw = \"polkit\"
access_drivers = [ \"none\" ]
keepalive_interval = -1
keepalive_count = 5
stream_idle_timeout = 600
storage_timeout = 30
stop_on_failed_refresh = 1
host_uuid = \"00010203-0405-4607-8809-0a0b0c0d0e0f\"
host_uuid_source = \"smbios\"
max_queued_clients = 1000
min_workers = 5
max_workers = 20
prio_workers = 5
admin_min_workers = 1
admin_max_workers = 5
admin_max_queued_clients = 5
admin_max_client_requests = 5
admin_keepalive_interval = 5
admin_keepalive_count = 5
keepalive_required = 1
admin_keepalive_required = 1
audit_level = 2
audit_logging = 1
ovs_timeout = 5
"

   test Virtstoraged.lns get every_key =
      { "log_level" = "3" }
      { "log_filters" = "1:rpc 1:storage" }
      { "log_outputs" = "3:syslog:virtstoraged" }
      { "max_clients" = "5000" }
      { "admin_max_clients" = "50" }
      { "max_anonymous_clients" = "20" }
      { "max_client_requests" = "5" }
      { "unix_sock_group" = "libvirt" }
      { "unix_sock_dir" = "/run/libvirt" }
      { "unix_sock_ro_perms" = "0777" }
      { "unix_sock_rw_perms" = "0770" }
      { "unix_sock_admin_perms" = "0700" }
      { "auth_unix_ro" = "none" }
      { "auth_unix_rw" = "polkit" }
      { "access_drivers" { "1" = "none" } }
      { "keepalive_interval" = "-1" }
      { "keepalive_count" = "5" }
      { "stream_idle_timeout" = "600" }
      { "storage_timeout" = "30" }
      { "stop_on_failed_refresh" = "1" }
      { "host_uuid" = "00010203-0405-4607-8809-0a0b0c0d0e0f" }
      { "host_uuid_source" = "smbios" }
      { "max_queued_clients" = "1000" }
      { "min_workers" = "5" }
      { "max_workers" = "20" }
      { "prio_workers" = "5" }
      { "admin_min_workers" = "1" }
      { "admin_max_workers" = "5" }
      { "admin_max_queued_clients" = "5" }
      { "admin_max_client_requests" = "5" }
      { "admin_keepalive_interval" = "5" }
      { "admin_keepalive_count" = "5" }
      { "keepalive_required" = "1" }
      { "admin_keepalive_required" = "1" }
      { "audit_level" = "2" }
      { "audit_logging" = "1" }
      { "ovs_timeout" = "5" }

   let some = "# who may come
unix_sock_group = \"libvirt\"
auth_unix_rw = \"polkit\"
max_clients = 5000
keepalive_interval = -1
access_drivers = [ \"none\" ]
"

   test Virtstoraged.lns get some =
      { "#comment" = "who may come" }
      { "unix_sock_group" = "libvirt" }
      { "auth_unix_rw" = "polkit" }
      { "max_clients" = "5000" }
      { "keepalive_interval" = "-1" }
      { "access_drivers" { "1" = "none" } }

   test Virtstoraged.lns put some after set "/max_clients" "10" =
      "# who may come
unix_sock_group = \"libvirt\"
auth_unix_rw = \"polkit\"
max_clients = 10
keepalive_interval = -1
access_drivers = [ \"none\" ]
"
