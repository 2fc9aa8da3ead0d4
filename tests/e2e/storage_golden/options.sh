# Options that the other scripts leave out, secrets, and definitions that are odd. The argument is an empty
# directory.
D=$1
T=$D/tmp
mkdir -p "$T"
run() { echo "\$ $*"; virsh -c storage:///system "$@" 2>&1; echo "= $?"; }
q() { printf '%s' "$2" >"$T/$1.xml"; }
show() { echo "\$ $*"; "$@" 2>&1; }
run uri
run version
run list
run nodeinfo
run net-list
run iface-list
run nodedev-list
run nwfilter-list
run secret-list
run secret-dumpxml 11111111-2222-3333-4444-555555555555
run domcapabilities
run sysinfo
run maxvcpus
run freecell
run pool-define-as pr dir --target $D/pr --print-xml
run pool-create-as pr netfs --source-host h --source-path /p --source-format nfs --source-protocol-ver 3 --target $D/pr --print-xml
run pool-define-as pr iscsi --source-host h --source-dev iqn.x --source-initiator iqn.y --auth-type chap --auth-username u --secret-usage s --target /dev/disk/by-path --print-xml
run pool-define-as pr scsi --adapter-name scsi_host1 --target /dev --print-xml
run pool-define-as np netfs --source-host h --target $D/np
run pool-define-as np netfs --source-path /p --target $D/np
run pool-define-as np fs --target $D/np
run pool-define-as np dir
run pool-define-as '' dir --target $D/np
run pool-define-as 'a/b' dir --target $D/np
run pool-define-as 'a
b' dir --target $D/np
run pool-define-as .dots dir --target $D/np
run pool-info .dots
run pool-undefine .dots
q u1 "<pool type='dir'><name>u</name><uuid>not-a-uuid</uuid><target><path>$D/u</path></target></pool>"; run pool-define $T/u1.xml
q u2 "<pool><name>u</name><target><path>$D/u</path></target></pool>"; run pool-define $T/u2.xml
q u3 "<volume><name>u</name></volume>"; run pool-define $T/u3.xml
q u4 "<pool type='dir'><name>u</name><target><path>$D/u</path><permissions><mode>9</mode></permissions></target></pool>"; run pool-define $T/u4.xml
q u5 "<pool type='dir'><name>u</name><target><path>$D/u</path><permissions><owner>x</owner></permissions></target></pool>"; run pool-define $T/u5.xml
q u6 "<pool type='dir'><name>u</name><target><path>$D/u</path><permissions><mode>0755</mode><owner>-1</owner><group>-1</group></permissions></target></pool>"; run pool-define $T/u6.xml
run pool-dumpxml u
run pool-undefine u
q u7 "<pool type='dir'><name>u</name><capacity unit='GiB'>5</capacity><source><host name='h'/><device path='/d'/><format type='x'/></source><target><path>$D/u</path></target></pool>"; run pool-define $T/u7.xml
run pool-dumpxml u
run pool-undefine u
q u8 "<pool type='fs'><name>u</name><source><device path='/nowhere'/><format type='nonsense'/></source><target><path>$D/u</path></target></pool>"; run pool-define $T/u8.xml
q u9 "<pool type='fs'><name>u</name><source><device path='/nowhere'/></source></pool>"; run pool-define $T/u9.xml
q u10 "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>u</name><source><host name='h'/><dir path='/p/'/><format type='nfs'/><protocol ver='4.1'/></source><target><path>$D/u</path></target><fs:mount_opts><fs:option name='sync'/><fs:option name='rw'/></fs:mount_opts></pool>"; run pool-define $T/u10.xml
run pool-dumpxml u
run pool-undefine u
q u11 "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>u</name><source><host name='h'/><dir path='/p'/></source><target><path>$D/u</path></target><fs:mount_opts><fs:option/></fs:mount_opts></pool>"; run pool-define $T/u11.xml
q u12 "<pool type='dir'><name>u</name><features><cow state='maybe'/></features><target><path>$D/u</path></target></pool>"; run pool-define $T/u12.xml
q u13 "<pool type='dir'><name>u</name><refresh><volume allocation='some'/></refresh><target><path>$D/u</path></target></pool>"; run pool-define $T/u13.xml
q u14 "<pool type='dir'><name>u</name><target><path>$D//u/../u//</path></target></pool>"; run pool-define $T/u14.xml
run pool-dumpxml u --xpath //path --wrap
run pool-undefine u
run pool-create-as o dir --target $D/o --overwrite
run pool-create-as o dir --target $D/o --build --overwrite
run pool-list --persistent --transient --all
run pool-list --autostart --no-autostart --all
run pool-list --uuid --name
run pool-destroy o
run pool-create-as o dir --target $D/o --no-overwrite --overwrite
run pool-define-as o dir --target $D/o
run pool-build o --overwrite
run pool-start o --build --no-overwrite --overwrite
run pool-start o --overwrite
run pool-start o --no-overwrite
run pool-build o --no-overwrite
run pool-start o
run pool-build o
run pool-delete o
run pool-create-as p2 dir --target $D/o
N=$(printf 'n%.0s' $(seq 255))
run vol-create-as o $N 1M
run vol-create-as o ${N}n 1M
run vol-create-as o ${N}n 1M --format qcow2
run vol-info $N o
run vol-clone $N ${N}n o
run vol-clone $N c o
run vol-delete $N o
run vol-create-as o a 4M
run vol-create-as o q 4M --format qcow2 --allocation 4M --prealloc-metadata
run vol-create-as o b 4M --backing-vol nothing
run vol-create-as o b 4M --backing-vol a
run vol-create-as o b 4M --format qcow2 --backing-vol $D/o/a --backing-vol-format bogus
run vol-create-as o b 4M --format qcow2 --backing-vol $D/o/a
run vol-create-as o z 4X
run vol-create-as o z 4M --allocation x
run vol-create-as o z 1.5M
run vol-create-as nothing z 1M
run vol-create nothing $T/u1.xml
run vol-create o $T/none.xml
run vol-create o $T/u1.xml
q w1 "<volume type='block'><name>w</name><capacity>4096</capacity></volume>"; run vol-create o $T/w1.xml
q w2 "<volume type='odd'><name>w2</name><capacity>4096</capacity></volume>"; run vol-create o $T/w2.xml
q w3 "<volume><name>w3</name><capacity>4096</capacity><target><format type='odd'/></target></volume>"; run vol-create o $T/w3.xml
q w4 "<volume><name>w4</name><capacity>4096</capacity><target><timestamps><atime>1</atime></timestamps><format type='raw'/></target></volume>"; run vol-create o $T/w4.xml
q w5 "<volume><name>w5</name><capacity>4096</capacity><target><format type='qcow2'/><clusterSize unit='b'>1000</clusterSize></target></volume>"; run vol-create o $T/w5.xml
q w6 "<volume><name>w6</name><capacity>4096</capacity><target><format type='qcow2'/><features><odd/></features></target></volume>"; run vol-create o $T/w6.xml
q w7 "<volume><name>w7</name><capacity>4096</capacity><target><format type='qcow2'/></target><backingStore><format type='raw'/></backingStore></volume>"; run vol-create o $T/w7.xml
q w8 "<volume><name>w8</name><capacity unit='KiB'>4</capacity><allocation unit='KiB'>0</allocation></volume>"; run vol-create o $T/w8.xml --prealloc-metadata
run vol-create o $T/w8.xml
run vol-create-from o $T/w8.xml a
q w9 "<volume><name>w9</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/></target></volume>"
run vol-create-from o $T/w9.xml a --prealloc-metadata
run vol-create-from o $T/w8.xml a --reflink
run vol-create-from o $T/w9.xml a --inputpool nothing
run vol-create-from nothing $T/w9.xml a --inputpool o
run vol-dumpxml a o --xpath //capacity
run vol-dumpxml a o --xpath //capacity --wrap
run vol-dumpxml a o --xpath //nothing
run vol-pool $D/o/a --uuid
run vol-pool a
run vol-name a
run vol-key $D/o/a
run vol-info $D/o/a --bytes
run vol-resize $D/o/a 5M
run vol-resize a 5M o --shrink
run vol-resize a 1M o --shrink --allocate
run vol-resize a --capacity -1M o --shrink
run vol-resize a bogus o
run vol-resize q 1M o --shrink
run vol-wipe b o
run vol-delete b o --delete-snapshots
head -c 100000 /dev/zero | tr '\0' 'y' >$T/up
run vol-upload a $T/up o --offset 99999999
run vol-upload a $T/up o --length 0
run vol-upload a $T/up o --length 200000
run vol-download a $T/dn o --offset 99999 --length 2
show od -An -c $T/dn
run vol-download a $T/dn o --offset 5242881
run vol-download a $T/dn o --offset 5242880
run vol-upload sub $T/up o
mkdir $D/o/sub
run pool-refresh o
run vol-upload sub $T/up o
run vol-download sub $T/dn o
run vol-resize sub 1M o
run vol-clone sub sub2 o
rm -f $D/o/sub2
ln -s / $D/o/rootlink
ln -s /dev/null $D/o/nulllink
run pool-refresh o
run vol-list o --details
run vol-dumpxml rootlink o
run vol-dumpxml nulllink o
run vol-delete rootlink o
run vol-delete nulllink o
chmod 000 $D/o/a
run vol-info a o
run vol-delete a o
run vol-list o
run pool-destroy o
run pool-undefine o
