# What a client sees of storage:///system, command by command. The argument is an empty directory.
D=$1
T=$D/tmp
mkdir -p "$T"
run() {
  echo "\$ $*"
  virsh -c storage:///system "$@" 2>&1
  echo "= $?"
}
q() { printf '%s' "$2" >"$T/$1.xml"; }
show() {
  echo "\$ $*"
  "$@" 2>&1
}
run pool-list --all
run pool-define-as one dir --target $D/one
run pool-define-as one dir --target $D/one
run pool-define-as two dir --target $D/one
run pool-list --all --details
run pool-info one
run pool-dumpxml one
run pool-start one
run pool-build one
run pool-start one
run pool-start one
run pool-autostart one
run pool-info one
run pool-list --all --persistent --autostart
run pool-list --transient
run pool-uuid one
run pool-name one
run vol-create-as one a.img 1M
run vol-create-as one a.img 1M
run vol-create-as one b.img 2M --allocation 0
run vol-create-as one c.qcow2 4M --format qcow2
run vol-create-as one d.qcow2 4M --format qcow2 --backing-vol c.qcow2 --backing-vol-format qcow2
run vol-create-as one e.vmdk 4M --format vmdk
run vol-create-as one f.qcow2 4M --format qcow2 --prealloc-metadata
run vol-create-as one g.raw 4M --format raw --prealloc-metadata
run vol-create-as one h 1M --format nonsense
run vol-create-as one a/b 1M
run vol-create-as one huge 9E
run vol-create-as one huge 8000P --allocation 0
run vol-list one
run vol-list one --details
run vol-info a.img one
run vol-info --bytes b.img one
run vol-info --bytes --physical c.qcow2 one
run vol-dumpxml a.img one
run vol-dumpxml c.qcow2 one
run vol-dumpxml d.qcow2 one
run vol-key a.img one
run vol-path a.img one
run vol-name $D/one/a.img
run vol-pool $D/one/a.img
run vol-pool $D/one//a.img
run vol-pool $D/none
run pool-refresh one
run vol-dumpxml c.qcow2 one
run vol-dumpxml d.qcow2 one
run vol-dumpxml e.vmdk one
run vol-dumpxml f.qcow2 one
run vol-clone a.img a2.img one
run vol-clone c.qcow2 c2.qcow2 one
run vol-clone a.img a2.img one
run vol-resize a.img 3M one
run vol-resize a.img 1M one
run vol-resize a.img 3584K --allocate one
run vol-resize b.img 1M --shrink one
run vol-resize b.img 1M --delta one
run vol-resize c.qcow2 8M one
run vol-resize c.qcow2 9M --allocate one
run vol-info --bytes a.img one
run vol-info --bytes c.qcow2 one
run vol-wipe a.img one
run vol-wipe b.img one
run vol-wipe a.img one --algorithm nnsa
run vol-wipe a.img one --algorithm trim
run vol-wipe a.img one --algorithm magic
head -c 1500000 /dev/zero | tr '\0' 'x' > $T/up
run vol-upload a.img $T/up one
run vol-download a.img $T/down one --length 1500000
show cmp $T/up $T/down
run vol-upload a.img $T/up one --offset 10 --length 100
# After an upload that failed this daemon takes the volume for half, until the next one.
run vol-upload a.img $T/up one
run vol-download a.img $T/down one --offset 5 --length 20
show od -An -c $T/down
run vol-download b.img $T/down one --sparse
show stat -c %s $T/down
run vol-upload b.img $T/down one --sparse
run vol-info --bytes b.img one
mkdir $D/one/sub; mkfifo $D/one/fifo; ln -s /nowhere $D/one/dangling; ln -s a.img $D/one/link
run pool-refresh one
run vol-list one
run vol-dumpxml sub one
run vol-dumpxml link one
run vol-delete sub one
run vol-delete link one
run vol-delete nothing one
run vol-delete a2.img one
run vol-delete $D/one/c2.qcow2
q v1 "<volume><name>x</name></volume>"; run vol-create one $T/v1.xml
q v2 "<volume><capacity>1</capacity></volume>"; run vol-create one $T/v2.xml
q v3 "<volume><name>x</name><capacity unit='Q'>1</capacity></volume>"; run vol-create one $T/v3.xml
q v4 "<volume><name>..</name><capacity>1</capacity></volume>"; run vol-create one $T/v4.xml
q v5 "<volume><name>x</name><capacity>1048576</capacity><target><format type='qcow2'/><compat>1.1</compat><features><lazy_refcounts/></features><permissions><mode>0640</mode><owner>1</owner><group>2</group></permissions></target></volume>"; run vol-create one $T/v5.xml
run vol-dumpxml x one
run vol-create one $T/v5.xml --validate
q v6 "<volume><name>y</name><capacity>1048576</capacity><bogus/></volume>"; run vol-create one $T/v6.xml --validate
q v7 "<volume><name>enc</name><capacity>1048576</capacity><target><format type='qcow2'/><encryption format='qcow'/></target></volume>"; run vol-create one $T/v7.xml
q v8 "<volume><name>bk</name><capacity>1048576</capacity><target><format type='qcow2'/></target><backingStore><path>/nowhere</path><format type='raw'/></backingStore></volume>"; run vol-create one $T/v8.xml
q v9 "<volume><name>bk</name><capacity>1048576</capacity><backingStore><path>$D/one/a.img</path></backingStore></volume>"; run vol-create one $T/v9.xml
q v10 "<volume><name>dirvol</name><capacity>0</capacity><target><format type='dir'/></target></volume>"; run vol-create one $T/v10.xml
run vol-dumpxml dirvol one
q c1 "<volume><name>fromc</name><capacity>1</capacity><target><format type='raw'/></target></volume>"; run vol-create-from one $T/c1.xml c.qcow2
run vol-dumpxml fromc one
run pool-undefine one
run pool-delete one
run pool-destroy one
run pool-destroy one
run vol-list one
run vol-info a.img one
run pool-refresh one
run pool-dumpxml one
run pool-create-as tr dir --target $D/tr --build
run pool-info tr
run pool-autostart tr
run pool-destroy tr
run pool-info tr
run pool-delete one
rm -rf $D/one
run pool-start one
run pool-undefine one
run pool-undefine one
for t in logical disk iscsi iscsi-direct scsi mpath rbd gluster zfs vstorage; do
run find-storage-pool-sources $t
done
run find-storage-pool-sources dir
run find-storage-pool-sources fs
run find-storage-pool-sources netfs
run find-storage-pool-sources-as netfs 127.0.0.1
run find-storage-pool-sources bogus
q p1 "<pool"; run pool-define $T/p1.xml
q p2 "<pool type='bogus'><name>a</name></pool>"; run pool-define $T/p2.xml
q p3 "<pool type='dir'><target><path>/x</path></target></pool>"; run pool-define $T/p3.xml
q p4 "<pool type='rbd'><name>a</name><source><host name='h'/><name>n</name></source></pool>"; run pool-define $T/p4.xml
q p5 "<pool type='dir'><name>a</name><bogus/><target><path>/x</path></target></pool>"; run pool-define $T/p5.xml --validate
q p6 "<pool type='netfs'><name>nfs</name><source><host name='127.0.0.1'/><dir path='/nowhere'/></source><target><path>$D/nfs</path></target></pool>"; run pool-define $T/p6.xml
run pool-dumpxml nfs
run pool-start nfs
run pool-build nfs
run pool-delete nfs
run pool-undefine nfs
truncate -s 64M $D/disk.img
L=$(losetup --find --show $D/disk.img)
trap 'umount $D/fsp 2>/dev/null; losetup --detach $L' EXIT
run pool-define-as fsp fs --source-dev $L --source-format ext4 --target $D/fsp
run pool-define-as fsq fs --source-dev $L --target $D/fsq
run pool-start fsp
run pool-build fsp --no-overwrite
run pool-build fsp --no-overwrite
run pool-build fsp --overwrite
run pool-build fsp --no-overwrite --overwrite
run pool-start fsp
show findmnt --noheadings --output OPTIONS $D/fsp
run pool-dumpxml fsp
run vol-create-as fsp a 1M
run vol-list fsp
run pool-destroy fsp
show findmnt $D/fsp
run pool-start fsp --build-no-overwrite
run pool-start fsp --build
run vol-list fsp
run pool-destroy fsp
run pool-delete fsp
run pool-undefine fsp
run capabilities
run pool-capabilities
