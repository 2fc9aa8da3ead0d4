module Test_virtlockd =

   (* Every key, in libvirt's tree. *)
   let every_key = "log_level = 3
log_filters=\"1:locking 4:*\"
log_outputs = \"3:syslog:virtlockd\"
max_clients = 1024
admin_max_clients = 5000
storage_timeout = 10
settle_timeout = 30
allow_stale_resume = 1
stale_resume_guests = [ \"web1\" ]
lockspaces = [ \"/srv/leases=nas:/export/leases\", \"/var/lib/leases\" ]
cluster_endpoints = [ \"https://etcd1:2379\", \"https://etcd2:2379\" ]
cluster_name = \"prod\"
cluster_lockspaces = [ \"scsi=/var/lib/libvirt/lockd/scsi\" ]
cluster_devices = 1
cluster_host_id = \"kvm7\"
cluster_wait = 5
cluster_start_wait = 300
cluster_ca_file = \"/etc/libvirt/virtlockd-cluster/ca.pem\"
cluster_cert_file = \"/etc/libvirt/virtlockd-cluster/host.pem\"
cluster_key_file = \"/etc/libvirt/virtlockd-cluster/host-key.pem\"
cluster_fence_command = \"/etc/libvirt/fence\"
cluster_fence_timeout = 90
cluster_fence_data = \"ipmi 10.0.0.7\"
cluster_on_lost = \"pause\"
cluster_trust_network_disks = 1
cluster_trust_reboot = 2
"

   test Virtlockd.lns get every_key =
      { "log_level" = "3" }
      { "log_filters" = "1:locking 4:*" }
      { "log_outputs" = "3:syslog:virtlockd" }
      { "max_clients" = "1024" }
      { "admin_max_clients" = "5000" }
      { "storage_timeout" = "10" }
      { "settle_timeout" = "30" }
      { "allow_stale_resume" = "1" }
      { "stale_resume_guests"
        { "1" = "web1" } }
      { "lockspaces"
        { "1" = "/srv/leases=nas:/export/leases" }
        { "2" = "/var/lib/leases" } }
      { "cluster_endpoints"
        { "1" = "https://etcd1:2379" }
        { "2" = "https://etcd2:2379" } }
      { "cluster_name" = "prod" }
      { "cluster_lockspaces"
        { "1" = "scsi=/var/lib/libvirt/lockd/scsi" } }
      { "cluster_devices" = "1" }
      { "cluster_host_id" = "kvm7" }
      { "cluster_wait" = "5" }
      { "cluster_start_wait" = "300" }
      { "cluster_ca_file" = "/etc/libvirt/virtlockd-cluster/ca.pem" }
      { "cluster_cert_file" = "/etc/libvirt/virtlockd-cluster/host.pem" }
      { "cluster_key_file" = "/etc/libvirt/virtlockd-cluster/host-key.pem" }
      { "cluster_fence_command" = "/etc/libvirt/fence" }
      { "cluster_fence_timeout" = "90" }
      { "cluster_fence_data" = "ipmi 10.0.0.7" }
      { "cluster_on_lost" = "pause" }
      { "cluster_trust_network_disks" = "1" }
      { "cluster_trust_reboot" = "2" }

   (* Comments, on lines of their own and after a value. *)
   test Virtlockd.lns get "# Limits\n#\n\n  #max_clients = 1024\nlog_level = 2  # for now\n" =
      { "#comment" = "Limits" }
      { "#empty" }
      { "#empty" }
      { "#comment" = "max_clients = 1024" }
      { "log_level" = "2" { "#comment" = "for now" } }

   (* All quotes, nothing in them, and quotes inside quotes. *)
   test Virtlockd.lns get "log_filters = '2:rpc'\nlog_outputs = \"\"\"3:stderr\n1:journald\"\"\"\n" =
      { "log_filters" = "2:rpc" }
      { "log_outputs" = "3:stderr\n1:journald" }
   test Virtlockd.lns get "log_filters = \"\"\"2:rpc\"\"\"\nlog_filters = ''\nlog_filters = \"\"\"\"\"\"\n" =
      { "log_filters" = "2:rpc" }
      { "log_filters" = "" }
      { "log_filters" = "" }
   test Virtlockd.lns get "log_filters = \"it's\"\nlog_filters = 'a\"b'\n" =
      { "log_filters" = "it's" }
      { "log_filters" = "a\"b" }

   (* Lists: empty, with either quotes, over several lines, with a comma at the end. *)
   test Virtlockd.lns get "lockspaces = [ ]\nlockspaces=[]\nlockspaces = [\n  '/a',\n  \"/b\",\n] # two\n" =
      { "lockspaces" }
      { "lockspaces" }
      { "lockspaces"
        { "1" = "/a" }
        { "2" = "/b" }
        { "#comment" = "two" } }

   (* Several statements in one line, and lines that end as on other systems. *)
   test Virtlockd.lns get "max_clients = 20; log_level = 4; # quiet\nlog_level = 3\r\n" =
      { "max_clients" = "20" }
      { "log_level" = "4" }
      { "#comment" = "quiet" }
      { "log_level" = "3" }

   (* What the daemon refuses. *)
   test Virtlockd.lns get "log_level = debug\n" = *
   test Virtlockd.lns get "log_filters = 1\n" = *
   test Virtlockd.lns get "log_filters = \"1:a\n" = *
   test Virtlockd.lns get "max_client = 5\n" = *
   test Virtlockd.lns get "cluster_endpoint = [ \"https://etcd1\" ]\n" = *

   (* A changed value leaves everything around it as it was. *)
   test Virtlockd.lns put "# Limits\n\nmax_clients=20 # few\nlog_filters = '1:a'\n"
      after set "/max_clients" "30"; set "/log_filters" "1:b"
      = "# Limits\n\nmax_clients=30 # few\nlog_filters = '1:b'\n"
   test Virtlockd.lns put "log_level = 3\n"
      after set "/storage_timeout" "60"; set "/log_outputs" "1:file:/it's"; set "/log_filters" ""
      = "log_level = 3\nstorage_timeout = 60\nlog_outputs = \"1:file:/it's\"\nlog_filters = \"\"\n"
