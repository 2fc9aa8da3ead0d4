module Test_virtstoraged =

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
