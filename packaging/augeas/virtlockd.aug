(* Lens for the configuration file of virtlockd.

   The tree is that of libvirt's lens of the same name, so that this one can take its place: one node for each key, with
   the bare value. What the daemon reads and libvirt's lens does not is understood as well: storage_timeout,
   settle_timeout, allow_stale_resume, stale_resume_guests, lockspaces, the
   cluster's keys, single and triple quotes, semicolons, and comments after a value. *)

module Virtlockd =
   autoload xfm

   let indent    = del /[ \t]*/ ""
   let value_sep = del /[ \t]*=[ \t]*/ " = "
   let eol       = del /[ \t]*\r?\n/ "\n"

   let comment_text = /[^ \t\r\n]([^\r\n]*[^ \t\r\n])?/
   let comment = [ label "#comment" . del /[ \t]*#[ \t]*/ "# " . store comment_text . eol ]
   let empty   = [ label "#empty" . del /[ \t]*(#[ \t]*)?\r?\n/ "\n" ]

   (* A comment after a value is a child of its key. What follows a semicolon is read like a line of its own. *)
   let trailing_comment = [ label "#comment" . del /[ \t]*#[ \t]*/ " # " . store comment_text . eol ]
   let ending           = del /[ \t]*((#[ \t]*)?\r?\n|;)/ "\n" | trailing_comment

   (* What is in a string decides on its quotes, so that no string fits two of these. *)
   let quote         = del /"""|"|'/ "\""
   let double        = del /"""|"/ "\""
   let single        = del "'" "'"
   let triple        = del "\"\"\"" "\"\"\""
   let nothing       = del /""|''|""""""/ "\"\"" . store ""
   let plain         = square quote (store /[^"'\r\n]+/) quote
   let single_inside = square double (store /[^'"\r\n]*'[^"\r\n]*/) double
   let double_inside = single . store /[^'"\r\n]*"[^'\r\n]*/ . single
   let several_lines = triple . store /[^"]*\n[^"]*/ . triple
   let integer       = store /[+-]?[0-9]+/

   let entry (keys:regexp) (value:lens) = [ indent . key keys . value_sep . value . ending ]

   let string_entry  (keys:regexp) =
        entry keys nothing
      | entry keys plain
      | entry keys single_inside
      | entry keys double_inside
      | entry keys several_lines
   let integer_entry (keys:regexp) = entry keys integer

   let logging_entry = integer_entry "log_level" | string_entry /log_filters|log_outputs/
   let limit_entry   = integer_entry /max_clients|admin_max_clients/
   let storage_entry = integer_entry /storage_timeout|settle_timeout|allow_stale_resume|cluster_wait|cluster_start_wait|cluster_devices|cluster_fence_timeout|cluster_trust_network_disks|cluster_trust_reboot/

   (* A list of strings, which may go over several lines and end in a comma: a node for each, numbered from 1. *)
   let list_space = del /[ \t\r\n]*/ " "
   let list_quote = del /"|'/ "\""
   let list_item  = [ seq "item" . square list_quote (store /[^"'\r\n]+/) list_quote ]
   let list_comma = del /[ \t\r\n]*,[ \t\r\n]*/ ", "
   let list_items = counter "item" . list_space . list_item . (list_comma . list_item)*
   let list_end   = del /([ \t\r\n]*,)?[ \t\r\n]*\]/ " ]"
   let list_entry (keys:regexp) =
        [ indent . key keys . value_sep . del "[" "[" . list_items? . list_end . ending ]
   let lockspace_entry = list_entry /lockspaces|stale_resume_guests/

   let cluster_list  = list_entry /cluster_endpoints|cluster_lockspaces/
   let cluster_entry = string_entry /cluster_name|cluster_host_id|cluster_ca_file|cluster_cert_file|cluster_key_file/
   let fence_entry   = string_entry /cluster_fence_command|cluster_fence_data|cluster_on_lost/

   let lns = ( logging_entry | limit_entry | storage_entry | lockspace_entry | cluster_list | cluster_entry
             | fence_entry | comment | empty )*

   let filter = incl "/etc/libvirt/virtlockd.conf"
              . Util.stdexcl

   let xfm = transform lns filter
