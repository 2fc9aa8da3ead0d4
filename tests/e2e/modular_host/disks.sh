# What guests with volumes as disks are through, command by command, on a host with virtqemud.
export LC_ALL=C
V="virsh -q -c qemu:///system"
S="virsh -q -c storage:///system"
run() { echo "\$ $*"; "$@" 2>&1; echo "= $?"; }
rm -rf /var/lib/pool /var/lib/imgs; mkdir -p /var/lib/pool /var/lib/imgs
run $S pool-define-as p dir --target /var/lib/pool
run $S pool-start p
run $S vol-create-as p v.raw 8M --format raw
run $S vol-create-as p base.qcow2 8M --format qcow2
run $S vol-create-as p over.qcow2 8M --format qcow2 --backing-vol base.qcow2 --backing-vol-format qcow2
run $S vol-create-as p hot.raw 8M --format raw
run $S vol-create-as p hot.qcow2 8M --format qcow2
run $S vol-create-as p copy.qcow2 8M --format qcow2
cat > /root/g.xml <<X
<domain type='qemu'><name>g</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='p' volume='v.raw'/><target dev='vda' bus='virtio'/></disk>
<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='p' volume='over.qcow2'/><target dev='vdb' bus='virtio'/></disk>
</devices></domain>
X
run $V define /root/g.xml
run $V start g
run $V domblklist g
run $V dumpxml g --xpath '//disk/source|//disk/backingStore'
run $V domblkinfo g vda
run $V domblkinfo g vdb
disk() { echo "<disk type='volume' device='disk'><driver name='qemu' type='$3'/><source pool='p' volume='$1'/><target dev='$2' bus='virtio'/></disk>"; }
disk hot.raw vdc raw > /root/c.xml; disk hot.qcow2 vdd qcow2 > /root/d.xml
run $V attach-device g /root/c.xml
run $V attach-device g /root/d.xml
run $V domblklist g
run $V domblkinfo g --all
run $V domblklist g
run $V detach-device g /root/c.xml
sleep 1
run $V snapshot-create-as g s1 --disk-only --no-metadata --diskspec vda,snapshot=no --diskspec vdb,file=/var/lib/pool/snap.qcow2 --diskspec vdc,snapshot=no --diskspec vdd,snapshot=no
run $S pool-refresh p
run $S vol-list p
sleep 6
run $V blockcommit g vdb --top /var/lib/pool/snap.qcow2 --active --pivot --wait
run $V snapshot-create-as g s2 --disk-only --diskspec vda,snapshot=no --diskspec vdb,snapshot=external --diskspec vdc,snapshot=no --diskspec vdd,snapshot=no
cat > /root/dest.xml <<X
<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='p' volume='copy.qcow2'/><target dev='vdd'/></disk>
X
run $V dumpxml g --xpath '//disk/source'
run $V blockcopy g vda --dest /var/lib/imgs/c.img --format raw --wait --finish --transient-job
run $V blockcopy g vdd --xml /root/dest.xml --reuse-external --wait --pivot --transient-job
run $V domblklist g
run $V dumpxml g --xpath '//disk/source'
run $V managedsave g
run $V start g
run $V reboot g
run $S vol-resize over.qcow2 16M --pool p
run $S vol-wipe v.raw --pool p
run $S pool-destroy p
run $V destroy g
run $S pool-start p
run $V start g
run $V update-device g /root/d.xml
run $V destroy g
run $S pool-destroy p
run $V start g
run $S pool-start p
run $V undefine g --snapshots-metadata --remove-all-storage
run $V pool-list --all --details
run $V vol-list p
cat > /root/h.xml <<X
<domain type='qemu'><name>h</name><uuid>824dd020-edc1-40d7-8202-1c8339d70917</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='nope' volume='v.raw'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>
X
run $V define /root/h.xml
run $V start h
sed -i "s/'nope' volume='v.raw'/'p' volume='gone'/" /root/h.xml
run $V define /root/h.xml
run $V start h
sed -i "s/volume='gone'/volume='hot.raw' mode='host'/" /root/h.xml
run $V define /root/h.xml
run $V start h
run $V destroy h
run $V undefine h
run $S vol-list p
for v in $($S vol-list p | awk '{print $1}'); do run $S vol-delete $v --pool p; done
run $V pool-destroy p
run $V pool-undefine p
# A pool of a server. Containers have no NFS: what mounts it is a script here, the same for both daemons.
cat > /usr/sbin/mount.nfs <<'X'
#!/bin/sh
exec mount -t tmpfs "$1" "$2"
X
chmod 755 /usr/sbin/mount.nfs
mkdir -p /var/lib/netpool
run $S pool-define-as n netfs --source-host localhost --source-path /export --source-format nfs --target /var/lib/netpool
run $S pool-start n
run $S vol-create-as n v.raw 8M --format raw
run $S vol-create-as n v.qcow2 8M --format qcow2
cat > /root/n.xml <<X
<domain type='qemu'><name>n</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='n' volume='v.raw'/><target dev='vda' bus='virtio'/></disk>
<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='n' volume='v.qcow2'/><target dev='vdb' bus='virtio'/></disk>
</devices></domain>
X
run $V define /root/n.xml
run $V start n
run $V domblklist n
run $V pool-list --all
run $S pool-destroy n
run $V destroy n
run $V undefine n
run $S pool-destroy n
run $S pool-undefine n
