(* Lens for the configuration file of virtstoraged: one node for each key, with the bare value, as libvirt's lens has it. *)

module Virtstoraged =
   autoload xfm

   let indent    = del /[ \t]*/ ""
   let value_sep = del /[ \t]*=[ \t]*/ " = "
   let eol       = del /[ \t]*\r?\n/ "\n"

   let comment = [ label "#comment" . del /[ \t]*#[ \t]*/ "# " . store /[^ \t\r\n]([^\r\n]*[^ \t\r\n])?/ . eol ]
   let empty   = [ label "#empty" . del /[ \t]*(#[ \t]*)?\r?\n/ "\n" ]

   let quote  = del /"/ "\""
   let text   = quote . store /[^"\r\n]*/ . quote
   let number = store /-?[0-9]+/

   let entry (keys:regexp) (value:lens) = [ indent . key keys . value_sep . value . eol ]
   let string_entry  (keys:regexp) = entry keys text
   let integer_entry (keys:regexp) = entry keys number

   let logging_entry = integer_entry "log_level" | string_entry /log_filters|log_outputs/
   let limit_entry   = integer_entry /max_clients|admin_max_clients|max_anonymous_clients|max_client_requests/
   let socket_entry  = string_entry /unix_sock_group|unix_sock_dir|unix_sock_ro_perms|unix_sock_rw_perms|unix_sock_admin_perms/
   let auth_entry    = string_entry /auth_unix_ro|auth_unix_rw/
   let alive_entry   = integer_entry /keepalive_interval|keepalive_count|stream_idle_timeout/
   let storage_entry = integer_entry /storage_timeout|stop_on_failed_refresh/

   let list_item  = [ seq "item" . quote . store /[^"\r\n]+/ . quote ]
   let list_items = counter "item" . list_item . (del /[ \t\r\n]*,[ \t\r\n]*/ ", " . list_item)*
   let driver_entry =
        [ indent . key "access_drivers" . value_sep . del "[" "[" . (del /[ \t\r\n]*/ " " . list_items)?
        . del /[ \t\r\n]*\]/ " ]" . eol ]

   (* What libvirt's daemon has, and what means nothing to this one. *)
   let idle_entry =
        integer_entry /max_queued_clients|min_workers|max_workers|prio_workers|admin_min_workers|admin_max_workers/
      | integer_entry /admin_max_queued_clients|admin_max_client_requests|admin_keepalive_interval|admin_keepalive_count/
      | integer_entry /keepalive_required|admin_keepalive_required|audit_level|audit_logging|ovs_timeout/
      | string_entry /host_uuid|host_uuid_source/

   let lns = ( logging_entry | limit_entry | socket_entry | auth_entry | alive_entry | storage_entry | driver_entry | idle_entry
             | comment | empty )*

   let filter = incl "/etc/libvirt/virtstoraged.conf" . Util.stdexcl

   let xfm = transform lns filter
